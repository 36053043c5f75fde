"""The tensors of a gpt-oss checkpoint: names, dtypes, shapes, and what random values they get."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from synthetic.shape import SyntheticShape
from synthetic.weights import BLOCK, Mxfp4Part, mxfp4, normal_bf16

Experts = Literal["mxfp4", "bf16"]

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
    dtype: Literal["BF16", "U8"]
    shape: tuple[int, ...]
    chunks: Callable[[int], Iterator[NDArray[Any]]]
    """From the seed to the values, in pieces."""

    @property
    def length_bytes(self) -> int:
        """Bytes in the file."""
        return math.prod(self.shape) * (2 if self.dtype == "BF16" else 1)


def layout(shape: SyntheticShape, experts: Experts) -> list[SyntheticTensor]:
    """List the tensors, layer by layer.

    Every matrix keeps the norm of what it is applied to: its standard deviation is one over the
    square root of its columns.
    """
    table = (shape.vocab_size, shape.hidden_size)
    tensors = [_bf16("model.embed_tokens.weight", table, std=EMBEDDING_STD)]
    for i in range(shape.num_hidden_layers):
        prefix = f"model.layers.{i}."
        tensors += _attention(shape, prefix)
        tensors += _router(shape, prefix)
        tensors += (_mxfp4_experts if experts == "mxfp4" else _bf16_experts)(shape, prefix)
    tensors += [_norm("model.norm.weight", shape.hidden_size), _linear("lm_head.weight", table)]
    return tensors


def _attention(shape: SyntheticShape, prefix: str) -> list[SyntheticTensor]:
    hidden = shape.hidden_size
    query = shape.num_attention_heads * shape.head_dim
    key = shape.num_key_value_heads * shape.head_dim
    tensors = [
        _norm(f"{prefix}input_layernorm.weight", hidden),
        _bf16(f"{prefix}self_attn.sinks", (shape.num_attention_heads,), std=SINK_STD),
    ]
    for name, rows, columns in (("q", query, hidden), ("k", key, hidden), ("v", key, hidden)):
        tensors += _linear_with_bias(f"{prefix}self_attn.{name}_proj", rows, columns)
    return tensors + _linear_with_bias(f"{prefix}self_attn.o_proj", hidden, query)


def _router(shape: SyntheticShape, prefix: str) -> list[SyntheticTensor]:
    experts, hidden = shape.num_local_experts, shape.hidden_size
    return [
        _norm(f"{prefix}post_attention_layernorm.weight", hidden),
        _linear(f"{prefix}mlp.router.weight", (experts, hidden), gain=ROUTER_GAIN),
        _bf16(f"{prefix}mlp.router.bias", (experts,), std=BIAS_STD),
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
            _bf16(
                f"{prefix}mlp.experts.{name}_bias", (shape.num_local_experts, rows), std=BIAS_STD
            ),
        )
    ]


def _bf16_experts(shape: SyntheticShape, prefix: str) -> list[SyntheticTensor]:
    """Weights [E, K, N], as fine-tunes are saved; columns of gate_up: gate even, up odd."""
    experts = shape.num_local_experts
    tensors = []
    for name, rows, columns in _expert_matrices(shape):
        std = columns**-0.5
        tensors += [
            _bf16(f"{prefix}mlp.experts.{name}", (experts, columns, rows), std=std),
            _bf16(f"{prefix}mlp.experts.{name}_bias", (experts, rows), std=BIAS_STD),
        ]
    return tensors


def _expert_matrices(shape: SyntheticShape) -> list[tuple[str, int, int]]:
    """Return name, rows and columns of an expert's two matrices."""
    return [
        ("gate_up_proj", 2 * shape.intermediate_size, shape.hidden_size),
        ("down_proj", shape.hidden_size, shape.intermediate_size),
    ]


def _norm(name: str, size: int) -> SyntheticTensor:
    return _bf16(name, (size,), std=NORM_STD, mean=1.0)


def _linear(name: str, shape: tuple[int, int], gain: float = 1.0) -> SyntheticTensor:
    return _bf16(name, shape, std=gain * shape[1] ** -0.5)


def _linear_with_bias(name: str, rows: int, columns: int) -> list[SyntheticTensor]:
    return [
        _linear(f"{name}.weight", (rows, columns)),
        _bf16(f"{name}.bias", (rows,), std=BIAS_STD),
    ]


def _bf16(name: str, shape: tuple[int, ...], *, std: float, mean: float = 0.0) -> SyntheticTensor:
    count = math.prod(shape)
    return SyntheticTensor(
        name=name,
        dtype="BF16",
        shape=shape,
        chunks=lambda seed: normal_bf16(name, seed, count, std=std, mean=mean),
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
        chunks=lambda seed: mxfp4(name, seed, math.prod(blocks), std=std, part=part),
    )
