"""Every operation of the dialect in float64, written from its definition.

It knows nothing of the bodies and of any kernel: the words of docs/onnx-dialect.md, token by token
and head by head where that is plainer.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

LARGEST_CODE = {"int8": 127, "int8x2": 127 * 254}
"""Of integer activations."""

Outputs = tuple[NDArray[Any], ...]
"""In the order of the operation's outputs."""


def embedding(*, ids: I64, weight: F64) -> Outputs:
    """Take rows."""
    return (weight[ids],)


def linear(*, x: F64, weight: F64, bias: F64 | None = None, tensor_class: str) -> Outputs:
    """Multiply; the class of the weight changes no number."""
    del tensor_class
    return (_plus(x @ weight.T, bias),)


def rms_norm(*, x: F64, weight: F64, epsilon: float) -> Outputs:
    """Divide by the root of the mean square."""
    return (x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + epsilon) * weight,)


def add_rms_norm(*, x: F64, residual: F64, weight: F64, epsilon: float) -> Outputs:
    """Add, and normalize the sum."""
    total = x + residual
    return (*rms_norm(x=total, weight=weight, epsilon=epsilon), total)


def rope(*, x: F64, cos: F64, sin: F64, head_dim: int) -> Outputs:
    """Turn each pair of columns d and d + hd/2 of a head by its angle."""
    heads = x.reshape(*cos.shape[:2], -1, head_dim)  # [B, S, heads, hd]
    first, second = np.split(heads, 2, axis=-1)
    c, s = cos[:, :, None], sin[:, :, None]
    turned = np.concatenate([first * c - second * s, second * c + first * s], axis=-1)
    return (turned.reshape(x.shape),)


def attention(
    *,
    query: F64,
    key: F64,
    value: F64,
    past_key: F64,
    past_value: F64,
    position_ids: I64,
    sinks: F64 | None = None,
    query_scale: F64 | None = None,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    window: int,
    scale: float,
) -> Outputs:
    """Append to the cache, and attend: one sequence, one token and one head after the other."""
    batch, sequence = position_ids.shape

    def by_head(x: F64, heads: int) -> F64:
        return x.reshape(batch, sequence, heads, head_dim).swapaxes(1, 2)

    queries = by_head(query, num_heads)
    keys = np.concatenate([past_key, by_head(key, num_kv_heads)], axis=2)
    values = np.concatenate([past_value, by_head(value, num_kv_heads)], axis=2)
    y = np.zeros((batch, sequence, num_heads, head_dim))
    for b, token, head in np.ndindex(batch, sequence, num_heads):
        last = position_ids[b, token]
        seen = slice(max(0, last - window + 1) if window else 0, last + 1)
        of_head = head * num_kv_heads // num_heads
        factor = scale if query_scale is None else scale * query_scale[b, token]
        scores = factor * keys[b, of_head, seen] @ queries[b, head, token]
        sink = -np.inf if sinks is None else sinks[head]
        shares = np.exp(scores - max(scores.max(), sink))
        total = shares.sum() + np.exp(sink - max(scores.max(), sink))
        y[b, token, head] = shares @ values[b, of_head, seen] / total
    return y.reshape(len(query), -1), keys, values


def rope_attention(*, qkv: F64, cos: F64, sin: F64, **others: Any) -> Outputs:
    """Rotate queries and keys, and attend."""
    heads, kv_heads, head_dim = (others[name] for name in ("num_heads", "num_kv_heads", "head_dim"))
    ends = [heads * head_dim, (heads + kv_heads) * head_dim]
    query, key, value = np.split(qkv, ends, axis=1)
    (query,), (key,) = (rope(x=x, cos=cos, sin=sin, head_dim=head_dim) for x in (query, key))
    return attention(query=query, key=key, value=value, **others)


def glu(
    *,
    x: F64,
    up: F64 | None = None,
    variants: tuple[str, ...],
    alpha: float = math.nan,
    limit: float = math.nan,
) -> Outputs:
    """Let the function of the gate through."""
    gate, up = (x[..., 0::2], x[..., 1::2]) if up is None else (x, up)
    if "swiglu_oss" in variants:
        gate = np.minimum(gate, limit)
        return ((np.clip(up, -limit, limit) + 1) * gate / (1 + np.exp(-alpha * gate)),)
    if "gelu" in variants:
        return (up * gate * np.vectorize(lambda z: math.erfc(-z / math.sqrt(2)) / 2)(gate),)
    if "gelu_tanh" in variants:
        inner = math.sqrt(2 / math.pi) * (gate + 0.044715 * gate**3)
        return (up * gate / 2 * (1 + np.tanh(inner)),)
    assert "silu" in variants, variants
    return (up * gate / (1 + np.exp(-gate)),)


def router(*, x: F64, weight: F64, bias: F64 | None = None, k: int) -> Outputs:
    """Choose the largest logits, equal ones by the lower index."""
    logits = _plus(x @ weight.T, bias)
    indices = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    chosen = np.take_along_axis(logits, indices, axis=1)
    shares = np.exp(chosen - chosen.max(axis=1, keepdims=True))
    return indices, shares / shares.sum(axis=1, keepdims=True)


def expert_linear(
    *, x: F64, indices: I64, weight: F64, bias: F64 | None = None, variants: tuple[str, ...]
) -> Outputs:
    """Multiply the matrix of each chosen expert."""
    weight = weight.swapaxes(1, 2) if "transposed" in variants else weight
    rows = np.zeros((*indices.shape, weight.shape[1]))
    for token, slot in np.ndindex(*indices.shape):
        expert = indices[token, slot]
        vector = x[token] if "shared" in variants else x[token, slot]
        rows[token, slot] = _plus(weight[expert] @ vector, None if bias is None else bias[expert])
    return (rows,)


def combine_experts(*, x: F64, weights: F64) -> Outputs:
    """Sum what the experts say."""
    return ((x * weights[:, :, None]).sum(axis=1),)


def linear_glu(*, x: F64, weight: F64, bias: F64 | None = None, **of_glu: Any) -> Outputs:
    """Multiply, and gate."""
    return glu(x=_plus(x @ weight.T, bias), **of_glu)


def expert_glu(
    *, x: F64, indices: I64, weight: F64, bias: F64 | None = None, **of_glu: Any
) -> Outputs:
    """Multiply the matrix of each chosen expert, and gate."""
    (products,) = expert_linear(
        x=x, indices=indices, weight=weight, bias=bias, variants=("shared",)
    )
    return glu(x=products, **of_glu)


def rounded(x: NDArray[np.float32], activations: str) -> F64:
    """Return what integer activations stand for: codes of blocks of 32 columns, times a scale.

    The scale is the largest magnitude over the largest code; codes are rounded in float32, because
    a value in the middle between two of them would else become the other one.
    """
    columns = x.shape[-1]
    padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, -columns % 32)])
    blocks = padded.reshape(*x.shape[:-1], -1, 32)
    largest = np.abs(blocks).max(axis=-1, keepdims=True)
    code_range = np.float32(LARGEST_CODE[activations])
    codes = np.rint(blocks * (code_range / largest))
    values = codes.astype(np.float64) * (largest / code_range)
    return values.reshape(padded.shape)[..., :columns]


def _plus(products: F64, bias: F64 | None) -> F64:
    return products if bias is None else products + bias


REFERENCES: Mapping[str, Callable[..., Outputs]] = {
    "AddRmsNorm": add_rms_norm,
    "Attention": attention,
    "CombineExperts": combine_experts,
    "Embedding": embedding,
    "ExpertGlu": expert_glu,
    "ExpertLinear": expert_linear,
    "Glu": glu,
    "Linear": linear,
    "LinearGlu": linear_glu,
    "RmsNorm": rms_norm,
    "Rope": rope,
    "RopeAttention": rope_attention,
    "Router": router,
}
"""By operation. They take its inputs and attributes by name, and ``variants`` if it has some."""
