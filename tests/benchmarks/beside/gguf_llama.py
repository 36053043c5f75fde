"""A checkpoint of the Llama family as GGUF."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType
from numpy.typing import NDArray

from benchmarks.beside.gguf_file import (
    F32,
    GgufTensor,
    floats,
    keep,
    matrix,
    write_decoder_config,
)
from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.families.layers.rotary import inverse_frequencies
from ossc.compiler.families.llama import LlamaConfig

ARCHITECTURE = "llama"

FILE_TYPES = {
    GGMLQuantizationType.Q8_0: LlamaFileType.MOSTLY_Q8_0,
    GGMLQuantizationType.Q4_0: LlamaFileType.MOSTLY_Q4_0,
}

Order = Callable[[NDArray[Any]], NDArray[Any]]


def write_config(writer: GGUFWriter, config: LlamaConfig, dense: GGMLQuantizationType) -> None:
    """Add the metadata that llama.cpp reads for this architecture."""
    write_decoder_config(writer, config)
    writer.add_file_type(FILE_TYPES[dense])
    writer.add_rope_dimension_count(config.head_dim)


def list_tensors(
    checkpoint: Checkpoint, config: LlamaConfig, dense: GGMLQuantizationType
) -> list[GgufTensor]:
    """List the tensors in the order in which a token meets them; a tied head is not repeated."""
    tensors = [
        matrix(checkpoint, "model.embed_tokens.weight", "token_embd.weight", dense),
        floats(frequency_divisors(config), "rope_freqs.weight"),
    ]
    for layer in range(config.num_hidden_layers):
        tensors += _layer(checkpoint, config, layer, dense)
    tensors.append(matrix(checkpoint, "model.norm.weight", "output_norm.weight", F32))
    if not config.tie_word_embeddings:
        tensors.append(matrix(checkpoint, "lm_head.weight", "output.weight", dense))
    return tensors


def frequency_divisors(config: LlamaConfig) -> NDArray[np.float32]:
    """Return by what llama.cpp has to divide each frequency of the plain rotation."""
    plain = replace(config.rope_parameters, rope_type="default")
    wanted = inverse_frequencies(config.rope_parameters, config.head_dim)
    return inverse_frequencies(plain, config.head_dim) / wanted


def interleave_halves(heads: int) -> Order:
    """Return what brings the rows that turn together next to each other, as llama.cpp has them.

    In the checkpoint row i of a head turns with row i + head_dim / 2.
    """

    def order(values: NDArray[Any]) -> NDArray[Any]:
        columns = values.shape[1]
        halves = np.asarray(values).reshape(heads, 2, -1, columns)
        return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(values.shape)

    return order


def _layer(
    checkpoint: Checkpoint, config: LlamaConfig, layer: int, dense: GGMLQuantizationType
) -> Iterator[GgufTensor]:
    orders = {
        "self_attn.q_proj": interleave_halves(config.num_attention_heads),
        "self_attn.k_proj": interleave_halves(config.num_key_value_heads),
    }
    for source, name, type_ in (
        ("input_layernorm", "attn_norm", F32),
        ("self_attn.q_proj", "attn_q", dense),
        ("self_attn.k_proj", "attn_k", dense),
        ("self_attn.v_proj", "attn_v", dense),
        ("self_attn.o_proj", "attn_output", dense),
        ("post_attention_layernorm", "ffn_norm", F32),
        ("mlp.gate_proj", "ffn_gate", dense),
        ("mlp.up_proj", "ffn_up", dense),
        ("mlp.down_proj", "ffn_down", dense),
    ):
        yield matrix(
            checkpoint,
            f"model.layers.{layer}.{source}.weight",
            f"blk.{layer}.{name}.weight",
            type_,
            orders.get(source, keep),
        )
