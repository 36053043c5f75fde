"""Checkpoints as GGUF, the file that llama.cpp runs.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; the bytes are written with the
package ``gguf`` of llama.cpp's authors. Tensors are streamed a slice at a time.

Matrices become one of ggml's quantized types, as in official files; `gguf_gpt_oss` and `gguf_llama`
say what a family's file holds. The file holds no vocabulary: both sides are given token ids, and
llama.cpp then starts faster.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, quants
from numpy.typing import NDArray

from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.families.fields.decoder import DecoderConfig

DenseType = Literal["Q8_0", "Q4_0"]
"""Type of every matrix outside the experts: blocks of 32 with one float16 scale."""

F32 = GGMLQuantizationType.F32

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


def write_file(
    out: Path,
    architecture: str,
    write_config: Callable[[GGUFWriter], None],
    tensors: Sequence[GgufTensor],
) -> Path:
    """Write a file; returns its path.

    Args:
        out: The file to write.
        architecture: llama.cpp's name for it.
        write_config: Adds the metadata that llama.cpp reads for this architecture.
        tensors: In their order.
    """
    writer = GGUFWriter(out, architecture)
    write_config(writer)
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


def append_data(out: Path, tensors: Sequence[GgufTensor], alignment: int) -> None:
    """Write the tensors behind the header, each from an aligned offset on."""
    with out.open("ab") as file:
        for tensor in tensors:
            file.write(bytes(-file.tell() % alignment))
            written = sum(file.write(piece.data.cast("B")) for piece in tensor.slices())
            assert written == tensor.length_bytes, tensor.name
        file.write(bytes(-file.tell() % alignment))


def write_decoder_config(writer: GGUFWriter, config: DecoderConfig) -> None:
    """Add the metadata that all decoders have."""
    writer.add_quantization_version(2)
    writer.add_tokenizer_model("none")
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_key_length(config.head_dim)
    writer.add_value_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters.rope_theta)


def keep(values: NDArray[Any]) -> NDArray[Any]:
    """Return the rows as they are."""
    return values


def matrix(
    checkpoint: Checkpoint,
    source: str,
    name: str,
    type_: GGMLQuantizationType,
    order: Callable[[NDArray[Any]], NDArray[Any]] = keep,
) -> GgufTensor:
    """Take a float tensor over, quantized by rows.

    Args:
        checkpoint: Where it is.
        source: Its name there.
        name: Its name in the file.
        type_: What it becomes.
        order: Gives the rows in the order that the file has.
    """
    shape = checkpoint.tensors[source].shape
    stored = shape if type_ == F32 else quants.quant_shape_to_byte_shape(shape, type_)

    def slices() -> Iterator[NDArray[Any]]:
        values = order(checkpoint.tensor(source))
        step = max(1, SLICE_VALUES * shape[0] // values.size)
        for begin in range(0, shape[0], step):
            piece = np.asarray(values[begin : begin + step], np.float32)
            yield np.ascontiguousarray(quants.quantize(piece, type_))

    return GgufTensor(name=name, type=type_, stored_shape=tuple(stored), slices=slices)


def floats(values: NDArray[Any], name: str) -> GgufTensor:
    """Take a small array over as float32."""
    return GgufTensor(
        name=name,
        type=F32,
        stored_shape=values.shape,
        slices=lambda: iter([np.ascontiguousarray(values, np.float32)]),
    )
