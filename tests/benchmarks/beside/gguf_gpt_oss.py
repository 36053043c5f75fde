"""A checkpoint of the gpt-oss family as GGUF.

Experts keep their MXFP4 codes and scales bit for bit; only their order in a block changes.
"""

from collections.abc import Iterator

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, RopeScalingType
from numpy.typing import NDArray

from benchmarks.beside.gguf_file import F32, GgufTensor, floats, matrix, write_decoder_config
from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.families.gpt_oss import GptOssConfig

ARCHITECTURE = "gpt-oss"

MXFP4 = GGMLQuantizationType.MXFP4

BLOCK = 32
"""Elements of one MXFP4 block."""

MXFP4_BLOCK_BYTES = 17
"""One scale byte and 16 bytes of codes."""


def write_config(writer: GGUFWriter, config: GptOssConfig) -> None:
    """Add the metadata that llama.cpp reads for this architecture."""
    rope = config.rope_parameters
    write_decoder_config(writer, config)
    writer.add_file_type(LlamaFileType.MOSTLY_MXFP4_MOE)
    writer.add_expert_feed_forward_length(config.intermediate_size)
    writer.add_expert_count(config.num_local_experts)
    writer.add_expert_used_count(config.num_experts_per_tok)
    writer.add_sliding_window(config.sliding_window or 0)
    if rope.rope_type == "yarn":
        writer.add_rope_scaling_type(RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope.factor)
        writer.add_rope_scaling_orig_ctx_len(rope.original_max_position_embeddings)


def list_tensors(
    checkpoint: Checkpoint, layers: int, dense: GGMLQuantizationType
) -> list[GgufTensor]:
    """List the tensors in the order in which a token meets them."""
    tensors = [matrix(checkpoint, "model.embed_tokens.weight", "token_embd.weight", dense)]
    for layer in range(layers):
        tensors += _layer(checkpoint, f"model.layers.{layer}.", f"blk.{layer}.", dense)
    return [
        *tensors,
        matrix(checkpoint, "model.norm.weight", "output_norm.weight", F32),
        matrix(checkpoint, "lm_head.weight", "output.weight", dense),
    ]


def _layer(
    checkpoint: Checkpoint, hf: str, gguf: str, dense: GGMLQuantizationType
) -> Iterator[GgufTensor]:
    yield matrix(checkpoint, f"{hf}input_layernorm.weight", f"{gguf}attn_norm.weight", F32)
    for name, ours in (("attn_q", "q"), ("attn_k", "k"), ("attn_v", "v"), ("attn_output", "o")):
        source = f"{hf}self_attn.{ours}_proj"
        yield matrix(checkpoint, f"{source}.weight", f"{gguf}{name}.weight", dense)
        yield matrix(checkpoint, f"{source}.bias", f"{gguf}{name}.bias", F32)
    for name, ours in (
        ("attn_sinks.weight", "self_attn.sinks"),
        ("post_attention_norm.weight", "post_attention_layernorm.weight"),
        ("ffn_gate_inp.weight", "mlp.router.weight"),
        ("ffn_gate_inp.bias", "mlp.router.bias"),
    ):
        yield matrix(checkpoint, hf + ours, gguf + name, F32)
    even, odd, every = slice(0, None, 2), slice(1, None, 2), slice(None)
    for name, ours, rows in (
        ("ffn_gate_exps", "gate_up_proj", even),
        ("ffn_up_exps", "gate_up_proj", odd),
        ("ffn_down_exps", "down_proj", every),
    ):
        source = f"{hf}mlp.experts.{ours}"
        yield _experts(checkpoint, source, f"{gguf}{name}.weight", rows)
        yield floats(checkpoint.tensor(f"{source}_bias")[:, rows], f"{gguf}{name}.bias")


def _experts(checkpoint: Checkpoint, source: str, name: str, rows: slice) -> GgufTensor:
    """Take MXFP4 matrices ``[E, N, K]`` over, expert by expert."""
    blocks = checkpoint.tensor(f"{source}_blocks")
    scales = checkpoint.tensor(f"{source}_scales")
    n_experts, n_rows, n_blocks = scales[:, rows].shape
    return GgufTensor(
        name=name,
        type=MXFP4,
        stored_shape=(n_experts, n_rows, n_blocks * MXFP4_BLOCK_BYTES),
        slices=lambda: (
            ggml_blocks(blocks[expert, rows], scales[expert, rows]) for expert in range(n_experts)
        ),
    )


def ggml_blocks(blocks: NDArray[np.uint8], scales: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Reorder MXFP4 blocks from the order of Hugging Face to that of ggml.

    A byte holds the codes of elements 2j and 2j + 1 there, of j and j + 16 here.

    Args:
        blocks: ``[..., n_blocks, 16]``; the lower element is in the low nibble.
        scales: ``[..., n_blocks]``.

    Returns:
        ``[..., n_blocks, 17]``; the scale is the first byte.
    """
    even, odd = blocks & 15, blocks >> 4
    out = np.empty((*scales.shape, MXFP4_BLOCK_BYTES), np.uint8)
    half = BLOCK // 4
    out[..., 0] = scales
    out[..., 1::2] = even[..., :half] | even[..., half:] << 4
    out[..., 2::2] = odd[..., :half] | odd[..., half:] << 4
    return out
