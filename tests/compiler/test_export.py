"""The exported graph against transformers, and what it costs to write."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from model_shapes import FLOATS, MODELS
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.inline import inlined
from ossc.compiler.oracle.reference import ReferenceSession
from ossc.compiler.oracle.save import save_model
from synthetic import GPT_OSS_20B, GPT_OSS_120B, SyntheticShape, make_checkpoint
from tolerances import EXPORT_LOGITS
from transformers_model import load_float32, reference_logits

PROMPT_TOKENS = 20
NEW_TOKENS = 10


def token_ids(shape: SyntheticShape) -> list[int]:
    rng = np.random.default_rng(0)
    return rng.integers(0, shape.vocab_size, PROMPT_TOKENS + NEW_TOKENS).tolist()


@pytest.mark.parametrize(("shape", "experts"), MODELS)
def test_prefill_and_decode_have_the_logits_of_transformers(tmp_path, shape, experts):
    form = 5 if experts == "bf16" else 4
    source = SourceModel.open(make_checkpoint(tmp_path, shape, experts=experts, config_form=form))
    ids = token_ids(shape)
    expected = reference_logits(load_float32(source), ids)

    session = ReferenceSession(source.export())
    prefill = session.run(ids[:PROMPT_TOKENS]).logits
    decode = [session.run([token_id]).logits for token_id in ids[PROMPT_TOKENS:]]
    actual = np.concatenate([prefill, *decode])
    np.testing.assert_allclose(actual, expected, rtol=0, atol=EXPORT_LOGITS)


@pytest.mark.parametrize(("experts", "floats"), FLOATS.values(), ids=FLOATS)
def test_stock_onnxruntime_runs_the_file_of_any_float_types(tmp_path, experts, floats):
    source = SourceModel.open(make_checkpoint(tmp_path, experts=experts, floats=floats))
    ids = token_ids(SyntheticShape())
    save_model(inlined(source.export()), tmp_path / "model.onnx")
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    empty = np.zeros((1, 2, 0, 32), np.float32)
    feeds = {value.name: empty for value in session.get_inputs() if "past" in value.name}
    positions = np.arange(len(ids))[None]
    (logits,) = session.run(["logits"], {"input_ids": [ids], "position_ids": positions, **feeds})
    expected = reference_logits(load_float32(source), ids)
    np.testing.assert_allclose(logits[0], expected, rtol=0, atol=EXPORT_LOGITS)


def test_a_batch_is_computed_sequence_by_sequence(tmp_path):
    source = SourceModel.open(make_checkpoint(tmp_path))
    model = load_float32(source)
    ids = np.random.default_rng(1).integers(0, 512, (2, 12))
    session = ReferenceSession(source.export())._session
    empty = np.zeros((2, 2, 0, 32), np.float32)
    feeds = {
        "input_ids": ids,
        "position_ids": np.tile(np.arange(12), (2, 1)),
        **{f"past_key_values.{i}.{kind}": empty for i in (0, 1) for kind in ("key", "value")},
    }
    (logits,) = session.run(["logits"], feeds)
    for row, sequence in zip(logits, ids.tolist(), strict=True):
        expected = reference_logits(model, sequence)
        np.testing.assert_allclose(row, expected, rtol=0, atol=EXPORT_LOGITS)


@pytest.mark.parametrize("experts", ["mxfp4", "bf16"])
def test_the_written_graph_is_standard_operators_named_as_their_modules(tmp_path, experts):
    model = SourceModel.open(make_checkpoint(tmp_path, experts=experts)).export()
    written = inlined(model)
    assert {node.domain for node in written.graph} == {""}
    assert not written.functions
    assert written.graph.opset_imports == {"": 24}
    modules = {node.name.split("/")[0] for node in written.graph}
    assert {node.name for node in model.graph if node.domain} <= modules
    ids = token_ids(SyntheticShape())
    expected = ReferenceSession(model).run(ids).logits
    np.testing.assert_array_equal(ReferenceSession(written).run(ids).logits, expected)


def test_the_file_passes_the_checker(tmp_path):
    source = SourceModel.open(make_checkpoint(tmp_path, max_shard_bytes=100_000))
    save_model(inlined(source.export()), tmp_path / "model.onnx")
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)


def test_the_inputs_and_outputs_are_those_of_a_decoder_with_a_cache(tmp_path):
    model = SourceModel.open(make_checkpoint(tmp_path)).export()
    assert [f"{value.name} {value.dtype} {value.shape}" for value in model.graph.inputs][:3] == [
        "input_ids INT64 [batch,sequence]",
        "position_ids INT64 [batch,sequence]",
        "past_key_values.0.key FLOAT [batch,2,past_sequence,32]",
    ]
    assert [f"{value.name} {value.dtype} {value.shape}" for value in model.graph.outputs][:4] == [
        "logits FLOAT [batch,sequence,512]",
        "present.0.key FLOAT [batch,2,total_sequence,32]",
        "present.0.value FLOAT [batch,2,total_sequence,32]",
        "router_indices.0 INT64 [tokens,2]",
    ]


EXPORT_AND_MEASURE = r"""
import re, sys, time
from pathlib import Path
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.inline import inlined
from ossc.compiler.oracle.save import save_model
begin, path = time.process_time(), Path(sys.argv[1])
save_model(inlined(SourceModel.open(path).export()), path / "model.onnx")
peak = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
print(time.process_time() - begin, peak[1])
"""


@pytest.mark.parametrize("shape", [GPT_OSS_20B, GPT_OSS_120B], ids=["20b", "120b"])
def test_a_large_checkpoint_exports_in_seconds_and_megabytes(tmp_path, shape):
    make_checkpoint(tmp_path, shape, sparse=True, max_shard_bytes=4_800_000_000)
    command = [sys.executable, "-c", EXPORT_AND_MEASURE, str(tmp_path)]
    root = Path(__file__).parents[2]
    result = subprocess.run(
        command, cwd=root, env={"PYTHONPATH": str(root / ".links")}, capture_output=True, check=True
    )
    seconds, peak_kib = map(float, result.stdout.split())
    assert seconds < 5
    assert peak_kib < 300_000
    assert (tmp_path / "model.onnx").stat().st_size < 10_000_000
