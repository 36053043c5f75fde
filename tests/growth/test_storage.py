"""docs/adding-a-storage.md, followed: a checkpoint in its form, exported and quantized."""

import json
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from family_models import FamilyModel
from growth.page import every_step, followed
from operations import dequantized
from operations.cases import CASES
from operations.conformance import assert_close, expected
from operations.onnxruntime_runner import run
from ossc.compiler.backends.cpu.backend import BACKEND
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.oracle.transformers_model import run_transformers
from ossc.compiler.order import Order
from ossc.compiler.pipeline import quantized_model
from ossc.compiler.quantization.plan import load_plan
from ossc.compiler.recipe import Recipe
from ossc.compiler.storage import find_storage
from ossc.targets.errors import CheckpointError, LoweringError, OsscError
from tolerances import BUNDLE_LOGITS, FUNCTION

PAGE = "adding-a-storage"
TOKENS = list(range(3, 15))
MODEL = FamilyModel(family="llama", dtype="float32")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> tuple[Path, Path]:
    """A checkpoint in the form, and one with the values that this means."""
    stored, meant = (tmp_path_factory.mktemp(name) for name in ("stored", "meant"))
    with warnings.catch_warnings(action="ignore"):
        MODEL.make(stored)
        MODEL.make(meant)
    codes, floats = {}, {}
    for name, weight in load_file(stored / "model.safetensors").items():
        if not name.endswith("_proj.weight"):
            codes[name] = floats[name] = weight
            continue
        scale = np.abs(weight).max(axis=1) / np.float32(127)
        codes[name] = np.rint(weight / scale[:, None]).astype(np.int8)
        codes[f"{name}_scale"] = scale
        floats[name] = codes[name].astype(np.float32) * scale[:, None]
    save_file(codes, stored / "model.safetensors", {"format": "pt"})
    save_file(floats, meant / "model.safetensors", {"format": "pt"})
    config = stored / "config.json"
    fields = json.loads(config.read_text())
    config.write_text(json.dumps({**fields, "quantization_config": {"quant_method": "int8-rows"}}))
    return stored, meant


@pytest.fixture(scope="module")
def exact(checkpoints):
    with warnings.catch_warnings(action="ignore"):
        checkpoint = SourceModel.open(checkpoints[1]).checkpoint
        return run_transformers(checkpoint, TOKENS, range(len(TOKENS))).logits


def use(checkpoints: tuple[Path, Path], logits: np.ndarray, names: dict) -> None:
    """Compare the graph with transformers, each operation with its reference, and the presets."""
    stored, meant = map(SourceModel.open, checkpoints)
    bound = BUNDLE_LOGITS * np.abs(logits).max()
    actual = reference_logits(stored.export(), TOKENS, tokens_a_run=5).logits
    np.testing.assert_allclose(actual, logits, rtol=0, atol=bound)
    for preset in ("default", "small"):
        one, other = (quantized_model(each, load_plan(preset)) for each in (stored, meant))
        ours, theirs = (reference_logits(each, TOKENS).logits for each in (one, other))
        np.testing.assert_array_equal(ours, theirs)
    _compare_operations(names)


def _compare_operations(names: dict) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(dequantized.FORMATS, "int8-rows", names["int8_rows"])
        for case in CASES:
            if case.weight and case.weight[0] == "int8-g32":
                same = replace(case, weight=("int8-rows", case.weight[1]))
                inputs = same.inputs(5)
                assert_close(run(same, inputs), expected(same, inputs), FUNCTION)


def test_weights_in_the_form_of_the_page_are_read_and_quantized(checkpoints, exact, tmp_path):
    with followed(PAGE, tmp_path) as names:
        use(checkpoints, exact, names)
    assert find_storage("int8-rows") is None


def test_weights_in_the_form_of_the_page_need_a_scheme_to_be_compiled(checkpoints, tmp_path):
    with followed(PAGE, tmp_path):
        source = SourceModel.open(checkpoints[0])
        options = Order.of(Recipe(model=checkpoints[0])).options(source.config)
        BACKEND.lower(quantized_model(source, load_plan("default")), options)
        with pytest.raises(LoweringError, match=r"stored as int8-rows, .* choose a scheme"):
            BACKEND.lower(quantized_model(source, load_plan("none")), options)


def test_a_norm_in_the_form_of_the_page_is_refused(checkpoints, tmp_path):
    tensors = load_file(checkpoints[0] / "model.safetensors")
    norm = "model.norm.weight"
    tensors |= {norm: tensors[norm].astype(np.int8), f"{norm}_scale": np.ones((), np.float32)}
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    for file in ("config.json", "generation_config.json"):
        (tmp_path / file).write_bytes((checkpoints[0] / file).read_bytes())
    with (
        followed(PAGE, tmp_path / "page"),
        pytest.raises(CheckpointError, match=r"model\.norm\.weight"),
    ):
        SourceModel.open(tmp_path).export()


@every_step(PAGE)
def test_without_one_of_the_steps_there_is_no_such_form(checkpoints, exact, tmp_path, step):
    with (
        pytest.raises((NameError, AttributeError, KeyError, OsscError)),
        followed(PAGE, tmp_path, without=step) as names,
    ):
        use(checkpoints, exact, names)
