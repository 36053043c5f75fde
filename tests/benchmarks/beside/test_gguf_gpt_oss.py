"""The GGUF file holds the checkpoint's values."""

import numpy as np
import pytest
from gguf import GGMLQuantizationType, GGUFReader, quants

from benchmarks.beside.gguf_gpt_oss import ggml_blocks
from benchmarks.beside.gguf_models import write_gguf
from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.families.source_model import read_model_config
from ossc.compiler.quantization import mxfp4
from ossc.targets.errors import CheckpointError
from synthetic import make_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return Checkpoint.open(make_checkpoint(tmp_path_factory.mktemp("checkpoint")))


@pytest.fixture(scope="module")
def tensors(checkpoint, tmp_path_factory):
    out = write_gguf(checkpoint.path, tmp_path_factory.mktemp("gguf") / "model.gguf", "Q8_0")
    return {tensor.name: tensor for tensor in GGUFReader(out).tensors}


def values(tensor):
    return quants.dequantize(tensor.data, tensor.tensor_type)


def test_a_block_has_its_scale_first_and_then_elements_16_apart():
    codes = np.arange(32) % 16
    blocks = (codes[0::2] | codes[1::2] << 4).astype(np.uint8)
    out = ggml_blocks(blocks[None], np.array([120], np.uint8))[0]
    assert out[0] == 120
    np.testing.assert_array_equal(out[1:] & 15, codes[:16])
    np.testing.assert_array_equal(out[1:] >> 4, codes[16:])


@pytest.mark.parametrize(
    ("name", "source", "rows"),
    [
        pytest.param("ffn_gate_exps", "gate_up_proj", slice(0, None, 2), id="gate"),
        pytest.param("ffn_up_exps", "gate_up_proj", slice(1, None, 2), id="up"),
        pytest.param("ffn_down_exps", "down_proj", slice(None), id="down"),
    ],
)
def test_experts_are_equal(checkpoint, tensors, name, source, rows):
    source = f"model.layers.1.mlp.experts.{source}"
    blocks, scales = (checkpoint.tensor(f"{source}_{part}") for part in ("blocks", "scales"))
    tensor = tensors[f"blk.1.{name}.weight"]
    assert tensor.tensor_type == GGMLQuantizationType.MXFP4
    expected = mxfp4.dequantize(blocks, scales)[:, rows]
    np.testing.assert_array_equal(values(tensor), expected.reshape(tensor.shape[::-1]))
    bias = np.asarray(checkpoint.tensor(f"{source}_bias"), np.float32)[:, rows]
    np.testing.assert_array_equal(tensors[f"blk.1.{name}.bias"].data, bias)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        pytest.param("token_embd.weight", "model.embed_tokens.weight", id="embedding"),
        pytest.param("output.weight", "lm_head.weight", id="head"),
        pytest.param("blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj.weight", id="q"),
        pytest.param("blk.1.attn_output.weight", "model.layers.1.self_attn.o_proj.weight", id="o"),
    ],
)
def test_dense_matrices_are_within_half_a_step(checkpoint, tensors, name, source):
    expected = np.asarray(checkpoint.tensor(source), np.float32)
    assert tensors[name].tensor_type == GGMLQuantizationType.Q8_0
    step = np.abs(expected.reshape(-1, 32)).max(axis=1, keepdims=True) / 127
    error = np.abs(values(tensors[name]) - expected).reshape(-1, 32)
    assert (error <= 0.57 * step).all()  # the scale is rounded to float16, so 1 / 16 more


@pytest.mark.parametrize(
    ("name", "source"),
    [
        pytest.param("attn_sinks.weight", "self_attn.sinks", id="sinks"),
        pytest.param("ffn_gate_inp.weight", "mlp.router.weight", id="router"),
        pytest.param("attn_norm.weight", "input_layernorm.weight", id="norm"),
        pytest.param("attn_k.bias", "self_attn.k_proj.bias", id="bias"),
    ],
)
def test_small_tensors_are_equal_floats(checkpoint, tensors, name, source):
    expected = np.asarray(checkpoint.tensor(f"model.layers.0.{source}"), np.float32)
    np.testing.assert_array_equal(tensors[f"blk.0.{name}"].data, expected)


def test_dense_matrices_can_have_four_bits(checkpoint, tmp_path):
    out = write_gguf(checkpoint.path, tmp_path / "model.gguf", "Q4_0")
    types = {tensor.name: tensor.tensor_type for tensor in GGUFReader(out).tensors}
    assert types["output.weight"] == types["blk.0.attn_v.weight"] == GGMLQuantizationType.Q4_0
    assert types["blk.0.ffn_up_exps.weight"] == GGMLQuantizationType.MXFP4


def test_the_metadata_are_those_of_the_config(checkpoint, tmp_path):
    fields = GGUFReader(write_gguf(checkpoint.path, tmp_path / "model.gguf", "Q8_0")).fields
    config = read_model_config(checkpoint.path)
    assert fields["gpt-oss.block_count"].contents() == config.num_hidden_layers
    assert fields["gpt-oss.expert_used_count"].contents() == config.num_experts_per_tok
    assert fields["gpt-oss.attention.sliding_window"].contents() == config.sliding_window
    assert fields["gpt-oss.rope.scaling.factor"].contents() == config.rope_parameters.factor
    assert fields["tokenizer.ggml.model"].contents() == "none"


def test_experts_that_are_not_mxfp4_are_refused(tmp_path):
    model = make_checkpoint(tmp_path / "model", experts="bf16")
    with pytest.raises(CheckpointError, match="no MXFP4 experts"):
        write_gguf(model, tmp_path / "model.gguf", "Q8_0")
