"""The tensors of a gpt-oss checkpoint: names, dtypes, shapes, and what random values they get."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from typing import Any, Literal

from numpy.typing import NDArray

from synthetic.shape import SyntheticShape
from synthetic.weights import BLOCK, FloatType, Mxfp4Part, mxfp4, normal_floats

Experts = Literal["mxfp4", "bf16"]

FloatTypes = tuple[tuple[str, FloatType], ...]
"""Patterns of names, and the type of such float tensors; the last that matches counts, and bfloat16
where none does."""

DTYPE_BYTES = {"BF16": 2, "F16": 2, "F32": 4, "U8": 1}

BIAS_STD = 0.1
NORM_STD = 0.1
EMBEDDING_STD = 0.5
SINK_STD = 1.0
ROUTER_GAIN = 1.6
"""Spreads the router's logits, so that the chosen experts differ between tokens."""


@dataclass(frozen=True, kw_only=True)
class SyntheticTensor:
    """One tensor: what the header says of it, and a function that streams its bytes."""

    name: str
    dtype: Literal["BF16", "F16", "F32", "U8"]
    shape: tuple[int, ...]
    make_chunks: Callable[[int, Any], Iterator[NDArray[Any]]]
    """From the seed and the dtype to the values, in pieces."""

    def chunks(self, seed: int) -> Iterator[NDArray[Any]]:
        """Return the values, in pieces."""
        return self.make_chunks(seed, self.dtype)

    @property
    def length_bytes(self) -> int:
        """Bytes in the file."""
        return math.prod(self.shape) * DTYPE_BYTES[self.dtype]


def layout(
    shape: SyntheticShape, experts: Experts, floats: FloatTypes = ()
) -> list[SyntheticTensor]:
    """List the tensors, layer by layer.

    Every matrix keeps the norm of what it is applied to: its standard deviation is one over the
    square root of its columns.
    """
    table = (shape.vocab_size, shape.hidden_size)
    tensors = [float_tensor("model.embed_tokens.weight", table, std=EMBEDDING_STD)]
    for i in range(shape.num_hidden_layers):
        prefix = f"model.layers.{i}."
        tensors += _attention(shape, prefix)
        tensors += _router(shape, prefix)
        tensors += (_mxfp4_experts if experts == "mxfp4" else _float_experts)(shape, prefix)
    tensors += [_norm("model.norm.weight", shape.hidden_size), _linear("lm_head.weight", table)]
    return [_retyped(tensor, floats) for tensor in tensors]


def _retyped(tensor: SyntheticTensor, floats: FloatTypes) -> SyntheticTensor:
    types = [dtype for pattern, dtype in floats if fnmatch(tensor.name, pattern)]
    return replace(tensor, dtype=types[-1]) if types and tensor.dtype != "U8" else tensor


def _attention(shape: SyntheticShape, prefix: str) -> list[SyntheticTensor]:
    hidden = shape.hidden_size
    query = shape.num_attention_heads * shape.head_dim
    key = shape.num_key_value_heads * shape.head_dim
    tensors = [
        _norm(f"{prefix}input_layernorm.weight", hidden),
        float_tensor(f"{prefix}self_attn.sinks", (shape.num_attention_heads,), std=SINK_STD),
    ]
    for name, rows, columns in (("q", query, hidden), ("k", key, hidden), ("v", key, hidden)):
        tensors += _linear_with_bias(f"{prefix}self_attn.{name}_proj", rows, columns)
    return tensors + _linear_with_bias(f"{prefix}self_attn.o_proj", hidden, query)


def _router(shape: SyntheticShape, prefix: str) -> list[SyntheticTensor]:
    experts, hidden = shape.num_local_experts, shape.hidden_size
    return [
        _norm(f"{prefix}post_attention_layernorm.weight", hidden),
        _linear(f"{prefix}mlp.router.weight", (experts, hidden), gain=ROUTER_GAIN),
        float_tensor(f"{prefix}mlp.router.bias", (experts,), std=BIAS_STD),
    ]


def _mxfp4_experts(shape: SyntheticShape, prefix: str) -> list[SyntheticTensor]:
    """Blocks [E, N, K/32, 16] and scales [E, N, K/32]; rows of gate_up: gate even, up odd."""
    return [
        tensor
        for name, rows, columns in _expert_matrices(shape)
        for tensor in (
            _mxfp4(
                f"{prefix}mlp.experts.{name}", (shape.num_local_experts, rows, columns), "blocks"
            ),
            _mxfp4(
                f"{prefix}mlp.experts.{name}", (shape.num_local_experts, rows, columns), "scales"
            ),
            float_tensor(
                f"{prefix}mlp.experts.{name}_bias", (shape.num_local_experts, rows), std=BIAS_STD
            ),
        )
    ]


def _float_experts(shape: SyntheticShape, prefix: str) -> list[SyntheticTensor]:
    """Weights [E, K, N], as fine-tunes are saved; columns of gate_up: gate even, up odd."""
    experts = shape.num_local_experts
    tensors = []
    for name, rows, columns in _expert_matrices(shape):
        std = columns**-0.5
        tensors += [
            float_tensor(f"{prefix}mlp.experts.{name}", (experts, columns, rows), std=std),
            float_tensor(f"{prefix}mlp.experts.{name}_bias", (experts, rows), std=BIAS_STD),
        ]
    return tensors


def _expert_matrices(shape: SyntheticShape) -> list[tuple[str, int, int]]:
    """Return name, rows and columns of an expert's two matrices."""
    return [
        ("gate_up_proj", 2 * shape.intermediate_size, shape.hidden_size),
        ("down_proj", shape.hidden_size, shape.intermediate_size),
    ]


def _norm(name: str, size: int) -> SyntheticTensor:
    return float_tensor(name, (size,), std=NORM_STD, mean=1.0)


def _linear(name: str, shape: tuple[int, int], gain: float = 1.0) -> SyntheticTensor:
    return float_tensor(name, shape, std=gain * shape[1] ** -0.5)


def _linear_with_bias(name: str, rows: int, columns: int) -> list[SyntheticTensor]:
    return [
        _linear(f"{name}.weight", (rows, columns)),
        float_tensor(f"{name}.bias", (rows,), std=BIAS_STD),
    ]


def float_tensor(
    name: str, shape: tuple[int, ...], *, std: float, mean: float = 0.0
) -> SyntheticTensor:
    """Describe a tensor of normally distributed floats, bfloat16 unless it is retyped."""
    count = math.prod(shape)
    return SyntheticTensor(
        name=name,
        dtype="BF16",
        shape=shape,
        make_chunks=lambda seed, dtype: normal_floats(name, seed, count, dtype, std=std, mean=mean),
    )


def _mxfp4(name: str, shape: tuple[int, int, int], part: Mxfp4Part) -> SyntheticTensor:
    experts, rows, columns = shape
    n_blocks = columns // BLOCK
    blocks = (experts, rows, n_blocks)
    std = columns**-0.5
    return SyntheticTensor(
        name=f"{name}_{part}",
        dtype="U8",
        shape=(*blocks, BLOCK // 2) if part == "blocks" else blocks,
        make_chunks=lambda seed, _dtype: mxfp4(name, seed, math.prod(blocks), std=std, part=part),
    )
