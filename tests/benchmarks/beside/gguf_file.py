"""A checkpoint of the gpt-oss family as GGUF, the file that llama.cpp runs.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; the bytes are written with the
package ``gguf`` of llama.cpp's authors. Tensors are streamed a slice at a time.

Experts keep their MXFP4 codes and scales bit for bit; only their order in a block changes. The
other matrices become one of ggml's quantized types, as in the official file. The file holds no
vocabulary: both sides are given token ids, and llama.cpp then starts faster.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, RopeScalingType, quants
from numpy.typing import NDArray

from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.families.gpt_oss import GptOssConfig
from ossc.compiler.families.source_model import SourceModel
from ossc.targets.errors import CheckpointError

DenseType = Literal["Q8_0", "Q4_0"]
"""Type of every matrix outside the experts: blocks of 32 with one float16 scale."""

MXFP4 = GGMLQuantizationType.MXFP4
F32 = GGMLQuantizationType.F32

BLOCK = 32
"""Elements of one MXFP4 block."""

MXFP4_BLOCK_BYTES = 17
"""One scale byte and 16 bytes of codes."""

SLICE_VALUES = 1 << 24
"""Values of a matrix that are quantized at once."""

Slices = Callable[[], Iterator[NDArray[Any]]]


@dataclass(frozen=True, kw_only=True)
class GgufTensor:
    """One tensor of the file, and a function that streams its bytes."""

    name: str
    type: GGMLQuantizationType
    stored_shape: tuple[int, ...]
    """Rows first, as NumPy has it; the last axis in bytes for all but float32."""

    slices: Slices

    @property
    def length_bytes(self) -> int:
        """Bytes in the file, without what aligns the next tensor."""
        return int(np.prod(self.stored_shape)) * (4 if self.type == F32 else 1)


def write_gguf(model: Path, out: Path, dense: DenseType) -> Path:
    """Write a checkpoint's values as GGUF.

    Args:
        model: The checkpoint's folder; its experts are MXFP4.
        out: The file to write.
        dense: Type of attention, embedding and head. Router, norms, biases and sinks are float32.

    Returns:
        ``out``.

    Raises:
        CheckpointError: The checkpoint is damaged, or its experts are not MXFP4.
        ConfigError: Its configuration is not valid.
    """
    source = SourceModel.open(model)
    config = source.config
    if not isinstance(config, GptOssConfig) or source.quantized_forms(source.weights) != {"mxfp4"}:
        raise CheckpointError(f"{model} has no MXFP4 experts; give a checkpoint that has.")
    tensors = list_tensors(source.checkpoint, config.num_hidden_layers, GGMLQuantizationType[dense])
    writer = GGUFWriter(out, "gpt-oss")
    write_config(writer, config)
    for tensor in tensors:
        dtype = np.dtype(np.float32 if tensor.type == F32 else np.uint8)
        writer.add_tensor_info(
            tensor.name, tensor.stored_shape, dtype, tensor.length_bytes, raw_dtype=tensor.type
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    append_data(out, tensors, writer.data_alignment)
    return out


def append_data(out: Path, tensors: list[GgufTensor], alignment: int) -> None:
    """Write the tensors behind the header, each from an aligned offset on."""
    with out.open("ab") as file:
        for tensor in tensors:
            file.write(bytes(-file.tell() % alignment))
            written = sum(file.write(piece.data.cast("B")) for piece in tensor.slices())
            assert written == tensor.length_bytes, tensor.name
        file.write(bytes(-file.tell() % alignment))


def write_config(writer: GGUFWriter, config: GptOssConfig) -> None:
    """Add the metadata that llama.cpp reads for this architecture."""
    rope = config.rope_parameters
    writer.add_file_type(LlamaFileType.MOSTLY_MXFP4_MOE)
    writer.add_quantization_version(2)
    writer.add_tokenizer_model("none")
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_expert_feed_forward_length(config.intermediate_size)
    writer.add_expert_count(config.num_local_experts)
    writer.add_expert_used_count(config.num_experts_per_tok)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_sliding_window(config.sliding_window or 0)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(rope.rope_theta)
    if rope.rope_type == "yarn":
        writer.add_rope_scaling_type(RopeScalingType.YARN)
        writer.add_rope_scaling_factor(rope.factor)
        writer.add_rope_scaling_orig_ctx_len(rope.original_max_position_embeddings)


def list_tensors(
    checkpoint: Checkpoint, layers: int, dense: GGMLQuantizationType
) -> list[GgufTensor]:
    """List the tensors in the order in which a token meets them."""
    tensors = [_matrix(checkpoint, "model.embed_tokens.weight", "token_embd.weight", dense)]
    for layer in range(layers):
        tensors += _layer(checkpoint, f"model.layers.{layer}.", f"blk.{layer}.", dense)
    return [
        *tensors,
        _matrix(checkpoint, "model.norm.weight", "output_norm.weight", F32),
        _matrix(checkpoint, "lm_head.weight", "output.weight", dense),
    ]


def _layer(
    checkpoint: Checkpoint, hf: str, gguf: str, dense: GGMLQuantizationType
) -> Iterator[GgufTensor]:
    yield _matrix(checkpoint, f"{hf}input_layernorm.weight", f"{gguf}attn_norm.weight", F32)
    for name, ours in (("attn_q", "q"), ("attn_k", "k"), ("attn_v", "v"), ("attn_output", "o")):
        source = f"{hf}self_attn.{ours}_proj"
        yield _matrix(checkpoint, f"{source}.weight", f"{gguf}{name}.weight", dense)
        yield _matrix(checkpoint, f"{source}.bias", f"{gguf}{name}.bias", F32)
    for name, ours in (
        ("attn_sinks.weight", "self_attn.sinks"),
        ("post_attention_norm.weight", "post_attention_layernorm.weight"),
        ("ffn_gate_inp.weight", "mlp.router.weight"),
        ("ffn_gate_inp.bias", "mlp.router.bias"),
    ):
        yield _matrix(checkpoint, hf + ours, gguf + name, F32)
    even, odd, every = slice(0, None, 2), slice(1, None, 2), slice(None)
    for name, ours, rows in (
        ("ffn_gate_exps", "gate_up_proj", even),
        ("ffn_up_exps", "gate_up_proj", odd),
        ("ffn_down_exps", "down_proj", every),
    ):
        source = f"{hf}mlp.experts.{ours}"
        yield _experts(checkpoint, source, f"{gguf}{name}.weight", rows)
        yield _rows_of_bias(checkpoint, f"{source}_bias", f"{gguf}{name}.bias", rows)


def _matrix(
    checkpoint: Checkpoint, source: str, name: str, type_: GGMLQuantizationType
) -> GgufTensor:
    """Take a bfloat16 tensor over, quantized by rows."""
    shape = checkpoint.tensors[source].shape
    stored = shape if type_ == F32 else quants.quant_shape_to_byte_shape(shape, type_)

    def slices() -> Iterator[NDArray[Any]]:
        values = checkpoint.tensor(source)
        step = max(1, SLICE_VALUES * shape[0] // values.size)
        for begin in range(0, shape[0], step):
            piece = np.asarray(values[begin : begin + step], np.float32)
            yield np.ascontiguousarray(quants.quantize(piece, type_))

    return GgufTensor(name=name, type=type_, stored_shape=tuple(stored), slices=slices)


def _rows_of_bias(checkpoint: Checkpoint, source: str, name: str, rows: slice) -> GgufTensor:
    values = checkpoint.tensor(source)[:, rows]
    return GgufTensor(
        name=name,
        type=F32,
        stored_shape=values.shape,
        slices=lambda: iter([np.ascontiguousarray(values, np.float32)]),
    )


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
