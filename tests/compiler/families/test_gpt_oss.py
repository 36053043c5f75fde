"""Checkpoints that are not what gpt-oss is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.notes import checkpoint_notes as notes
from ossc.compiler.storage.tensor_index import WeightMap
from ossc.targets.errors import CheckpointError, ConfigError, OsscError
from synthetic import GPT_OSS_20B, GPT_OSS_120B, SyntheticShape, make_checkpoint
from synthetic.layout import layout


def check(source: SourceModel) -> WeightMap:
    """Let the family take its weights."""
    return source.weights


def quantized_forms(source: SourceModel) -> set[str]:
    return source.quantized_forms(source.weights)


def edit_config(path: Path, **changes: Any) -> None:
    """Change fields of config.json; None removes one."""
    file = path / "config.json"
    config = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def edit_header(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change the header of model.safetensors; the data stay as they are."""
    file = path / "model.safetensors"
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    edit(header)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the data stay aligned
    file.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])


@pytest.mark.parametrize("experts", ["mxfp4", "bf16"])
@pytest.mark.parametrize("form", [4, 5])
def test_a_checkpoint_of_either_layout_and_form_is_accepted(tmp_path, experts, form):
    path = make_checkpoint(tmp_path, experts=experts, config_form=form)
    source = SourceModel.open(path)
    assert quantized_forms(source) == ({"mxfp4"} if experts == "mxfp4" else set())
    names = [part.name for weight in check(source).values() for part in weight.parts]
    assert sorted(names) == sorted(source.checkpoint.tensors)


@pytest.mark.parametrize(("shape", "count"), [(GPT_OSS_20B, 459), (GPT_OSS_120B, 687)])
def test_the_published_sizes_have_their_number_of_tensors(tmp_path, shape, count):
    source = SourceModel.open(make_checkpoint(tmp_path, shape, sparse=True))
    assert sum(len(weight.parts) for weight in check(source).values()) == count


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        pytest.param({"hidden_act": "gelu"}, "hidden_act 'gelu'.*'silu' only", id="act"),
        pytest.param({"attention_bias": False}, "attention_bias False", id="bias"),
        pytest.param(
            {"quantization_config": {"quant_method": "awq"}}, "quant_method 'awq'", id="method"
        ),
    ],
)
def test_a_config_that_describes_something_else_is_refused(tmp_path, changes, complaint):
    edit_config(make_checkpoint(tmp_path), **changes)
    with pytest.raises(ConfigError, match=complaint):
        check(SourceModel.open(tmp_path))


@pytest.mark.parametrize("method", ["mxfp4", "bitsandbytes", "fp8"])
def test_a_method_left_over_on_plain_tensors_is_passed_over_with_a_note(tmp_path, method):
    make_checkpoint(tmp_path, experts="bf16")
    assert list(notes(SourceModel.open(tmp_path))) == []
    edit_config(tmp_path, quantization_config={"quant_method": method, "load_in_4bit": True})
    source = SourceModel.open(tmp_path)
    assert quantized_forms(source) == set()
    (note,) = notes(source)
    assert f"quant_method '{method}', but no tensor is quantized" in note


def test_blocks_without_a_method_are_read_with_a_note(tmp_path):
    make_checkpoint(tmp_path)
    assert list(notes(SourceModel.open(tmp_path))) == []
    edit_config(tmp_path, quantization_config=None)
    source = SourceModel.open(tmp_path)
    assert quantized_forms(source) == {"mxfp4"}
    (note,) = notes(source)
    assert "no quantization_config, but weights are stored as mxfp4" in note


def test_a_method_that_is_not_left_over_is_refused(tmp_path):
    make_checkpoint(tmp_path, experts="bf16")
    edit_config(tmp_path, quantization_config={"quant_method": "fp8"})
    scale = "model.layers.0.self_attn.o_proj.weight"
    edit_header(
        tmp_path, lambda header: header.update({f"{scale}_scale_inv": header.pop(f"{scale}")})
    )
    with pytest.raises(
        ConfigError, match="quant_method 'fp8', but weights are read as floats or in mxfp4"
    ):
        check(SourceModel.open(tmp_path))


def test_mxfp4_needs_sizes_of_whole_blocks(tmp_path):
    make_checkpoint(tmp_path)
    edit_config(tmp_path, hidden_size=80)
    with pytest.raises(ConfigError, match=r"hidden_size 80.*multiple of 32"):
        check(SourceModel.open(tmp_path))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        pytest.param({"vocab_size": 600}, "embed_tokens.weight' has the shape", id="vocabulary"),
        pytest.param({"hidden_size": 96}, "has the shape", id="hidden"),
        pytest.param({"intermediate_size": 64}, "gate_up_proj_blocks' has the shape", id="experts"),
        pytest.param({"num_local_experts": 8}, "router.weight' has the shape", id="router"),
        pytest.param({"num_attention_heads": 8}, "q_proj.weight' has the shape", id="heads"),
        pytest.param({"num_key_value_heads": 1}, "k_proj.weight' has the shape", id="kv-heads"),
        pytest.param(
            {"num_hidden_layers": 3, "layer_types": ["full_attention"] * 3},
            r"no tensor 'model\.layers\.2\.",
            id="more-layers",
        ),
        pytest.param(
            {"num_hidden_layers": 1, "layer_types": ["full_attention"]},
            r"'model\.layers\.1\..*' has no place in this gpt_oss model",
            id="fewer-layers",
        ),
    ],
)
def test_a_config_that_contradicts_the_tensors_is_refused(tmp_path, changes, complaint):
    edit_config(make_checkpoint(tmp_path), **changes)
    with pytest.raises(CheckpointError, match=complaint):
        check(SourceModel.open(tmp_path))


def remove(header: dict[str, Any], name: str) -> None:
    """Let another, unknown name take the tensor's place, so that no gap is left."""
    header["something.else"] = header.pop(name)


def retype(header: dict[str, Any], name: str) -> None:
    """Let a tensor have a type of the same size that is neither float nor uint8."""
    header[name]["dtype"] = {"BF16": "I16", "U8": "I8"}[header[name]["dtype"]]


EVERY_TENSOR = [each.name for each in layout(SyntheticShape(num_hidden_layers=1), "mxfp4")]


@pytest.mark.parametrize("name", EVERY_TENSOR)
def test_every_tensor_is_needed(tmp_path, name):
    make_checkpoint(tmp_path, SyntheticShape(num_hidden_layers=1))
    edit_header(tmp_path, lambda header: remove(header, name))
    with pytest.raises(OsscError, match="no tensor"):
        check(SourceModel.open(tmp_path))


@pytest.mark.parametrize("name", EVERY_TENSOR)
def test_every_tensor_has_its_dtype(tmp_path, name):
    make_checkpoint(tmp_path, SyntheticShape(num_hidden_layers=1))
    edit_header(tmp_path, lambda header: retype(header, name))
    with pytest.raises(CheckpointError, match=f"{name}' is I(16|8), but has to be (BF16|U8)"):
        check(SourceModel.open(tmp_path))
