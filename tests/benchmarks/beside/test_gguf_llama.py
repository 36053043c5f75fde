"""The GGUF file of a Llama holds the checkpoint's values."""

import numpy as np
import pytest
from gguf import GGUFReader, quants
from transformers import LlamaConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from benchmarks.beside.gguf_llama import interleave_halves
from benchmarks.beside.gguf_models import write_gguf
from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.targets.errors import CheckpointError
from synthetic.decoders import LLAMA_1B, make_decoder

TINY = {
    **LLAMA_1B,
    "vocab_size": 64,
    "hidden_size": 128,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return Checkpoint.open(make_decoder(tmp_path_factory.mktemp("checkpoint"), TINY))


@pytest.fixture(scope="module")
def reader(checkpoint, tmp_path_factory):
    return GGUFReader(write_gguf(checkpoint.path, tmp_path_factory.mktemp("gguf") / "m", "Q8_0"))


@pytest.fixture(scope="module")
def tensors(reader):
    return {tensor.name: tensor for tensor in reader.tensors}


@pytest.mark.parametrize(
    ("name", "source"),
    [
        pytest.param("token_embd", "model.embed_tokens", id="embedding"),
        pytest.param("blk.0.attn_v", "model.layers.0.self_attn.v_proj", id="v"),
        pytest.param("blk.1.ffn_gate", "model.layers.1.mlp.gate_proj", id="gate"),
        pytest.param("blk.1.ffn_up", "model.layers.1.mlp.up_proj", id="up"),
        pytest.param("blk.1.ffn_down", "model.layers.1.mlp.down_proj", id="down"),
    ],
)
def test_matrices_are_those_of_the_checkpoint(checkpoint, tensors, name, source):
    exact = np.asarray(checkpoint.tensor(f"{source}.weight"), np.float32)
    tensor = tensors[f"{name}.weight"]
    np.testing.assert_array_equal(tensor.data, quants.quantize(exact, tensor.tensor_type))


def test_rows_that_turn_together_are_next_to_each_other(checkpoint, tensors):
    exact = np.asarray(checkpoint.tensor("model.layers.1.self_attn.k_proj.weight"), np.float32)
    tensor = tensors["blk.1.attn_k.weight"]
    read = quants.dequantize(tensor.data, tensor.tensor_type)
    for head, pair in ((0, 0), (0, 15), (1, 3)):
        for half in range(2):
            row = exact[32 * head + pair + 16 * half]
            np.testing.assert_allclose(read[32 * head + 2 * pair + half], row, atol=0.01)


def test_the_order_is_a_permutation():
    rows = np.arange(24)[:, None]
    assert sorted(interleave_halves(3)(rows)[:, 0]) == list(range(24))


def test_frequencies_are_divided_as_the_reference_does(tensors):
    config = LlamaConfig(**{k: v for k, v in TINY.items() if k != "model_type"})
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, "cpu")
    plain = TINY["rope_theta"] ** (-np.arange(0, 32, 2) / 32)
    divisors = tensors["rope_freqs.weight"].data
    np.testing.assert_allclose(plain / divisors, scaled.numpy(), rtol=1e-6)
    assert divisors.max() == TINY["rope_scaling"]["factor"]


def test_a_tied_head_is_not_repeated(reader, tensors):
    assert "output.weight" not in tensors
    assert reader.fields["llama.attention.head_count_kv"].contents() == 2


def test_biases_are_refused(checkpoint, tmp_path):
    model = make_decoder(tmp_path / "model", {**TINY, "attention_bias": True})
    with pytest.raises(CheckpointError):
        write_gguf(model, tmp_path / "model.gguf", "Q8_0")
