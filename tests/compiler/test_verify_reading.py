"""Our reading of a checkpoint against transformers'."""

import dataclasses

import numpy as np
import pytest

from model_shapes import BF16_SHAPES, MXFP4_SHAPES
from ossc.compiler import verify_reading as module
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.transformers_model import run_transformers
from ossc.compiler.verify_reading import rotary_positions, verify_reading
from synthetic import SyntheticShape, make_checkpoint

MODELS = [
    pytest.param(MXFP4_SHAPES["default"], "mxfp4", 4, id="mxfp4"),
    pytest.param(MXFP4_SHAPES["three-layers-window-3"], "mxfp4", 5, id="mxfp4-window-3"),
    pytest.param(MXFP4_SHAPES["window-1"], "mxfp4", 4, id="mxfp4-window-1"),
    pytest.param(BF16_SHAPES["no-multiple-of-32"], "bf16", 5, id="bf16"),
]
"""Shape, layout of the experts, and form of config.json."""

ROPE_READ_WRONGLY = {
    "another theta": {"rope_theta": 10000.0},
    "theta 1 % off": {"rope_theta": 151500.0},
    "no scaling": {"rope_type": "default", "attention_factor": 1.0},
    "half the factor": {"factor": 16.0},
    "no attention factor": {"attention_factor": 1.0},
    "rounded bounds": {"truncate": True},
    "another original context": {"original_max_position_embeddings": 131072},
    "half of beta_fast": {"beta_fast": 16.0},
}

READ_WRONGLY = {
    "window": {"sliding_window": 9},
    "epsilon": {"rms_norm_eps": 1e-6},
    "limit that no value reaches": {"swiglu_limit": 100.0},
}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return SourceModel.open(make_checkpoint(tmp_path_factory.mktemp("checkpoint")))


@pytest.fixture(scope="module")
def oracle(source):
    """What transformers makes of the checkpoint, computed once."""
    token_ids = module.fixed_token_ids(512, 32)
    return run_transformers(source.checkpoint, token_ids, rotary_positions(32, 131072))


def read_as(source, **fields):
    return dataclasses.replace(source, config=dataclasses.replace(source.config, **fields))


@pytest.mark.parametrize(("shape", "experts", "form"), MODELS)
def test_a_checkpoint_is_read_as_transformers_reads_it(tmp_path, shape, experts, form):
    path = make_checkpoint(tmp_path, shape, experts=experts, config_form=form)
    result = verify_reading(SourceModel.open(path))
    assert result.read_otherwise == ()
    assert result.holds
    assert result.share_of_bound < 0.2


def test_a_window_is_passed_by_enough_tokens(tmp_path):
    shape = SyntheticShape(sliding_window=40)
    source = SourceModel.open(make_checkpoint(tmp_path, shape))
    assert len(verify_reading(source).rotary_positions) == 56
    assert not verify_reading(read_as(source, sliding_window=41)).holds


@pytest.mark.parametrize("fields", ROPE_READ_WRONGLY.values(), ids=ROPE_READ_WRONGLY)
def test_numbers_alone_tell_that_the_rotation_was_read_wrongly(source, oracle, monkeypatch, fields):
    rope = dataclasses.replace(source.config.rope_parameters, **fields)
    monkeypatch.setattr(module, "run_transformers", lambda *_: oracle)
    monkeypatch.setattr(module, "read_otherwise", lambda *_: ())
    result = verify_reading(read_as(source, rope_parameters=rope))
    assert not result.holds
    assert result.share_of_bound > 20


@pytest.mark.parametrize("fields", READ_WRONGLY.values(), ids=READ_WRONGLY)
def test_a_field_that_is_read_otherwise_is_named(source, oracle, monkeypatch, fields):
    monkeypatch.setattr(module, "run_transformers", lambda *_: oracle)
    result = verify_reading(read_as(source, **fields))
    assert [line.partition(":")[0] for line in result.read_otherwise] == list(fields)
    assert not result.holds


def test_logits_that_are_not_finite_do_not_hold(source, oracle, monkeypatch):
    logits = oracle.logits.copy()
    logits[3, 7] = np.nan
    broken = dataclasses.replace(oracle, logits=logits)
    monkeypatch.setattr(module, "run_transformers", lambda *_: broken)
    assert not verify_reading(source).holds


@pytest.mark.parametrize(
    ("count", "most", "expected"),
    [
        pytest.param(6, 101, [0, 1, 2, 35, 67, 100], id="far"),
        pytest.param(5, 100_000, [0, 1, 2, 4096, 8191], id="no farther than needed"),
        pytest.param(4, 4, [0, 1, 2, 3], id="as many as the model has"),
        pytest.param(1, 1, [0], id="one"),
    ],
)
def test_the_second_half_of_the_positions_stands_apart(count, most, expected):
    assert rotary_positions(count, most) == expected
