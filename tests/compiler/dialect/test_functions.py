"""Every function of the dialect, run by onnxruntime, against NumPy in float64."""

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from kernel_operands import random_parts, values
from onnx_graphs import random_f32
from ossc.compiler.dialect import DOMAIN, OPERATIONS, find_operation, op_type, parse_operation
from ossc.compiler.dialect.functions import OPSET_VERSION, attach_functions, build_function
from ossc.compiler.oracle.session import ort_session
from ossc.compiler.quantization import all_schemes
from tolerances import FUNCTION

BFloat16 = ml_dtypes.bfloat16
SCHEMES = [scheme.name for scheme in all_schemes()]
DTYPES = {"f32": ir.DataType.FLOAT, "i64": ir.DataType.INT64}
T, K, N, E, TOP_K = 3, 96, 10, 5, 2


def random_bf16(*shape: int, seed: int = 0) -> NDArray:
    return random_f32(*shape, seed=seed).astype(BFloat16)


def call(op_type: str, *arguments: NDArray, **attributes: float) -> list[NDArray]:
    """Run one node of the dialect; bfloat16 and integer-coded arguments are initializers."""
    inputs = [
        ir.Value(
            name=f"input_{i}",
            type=ir.TensorType(ir.DataType.from_numpy(array.dtype)),
            shape=ir.Shape(array.shape),
        )
        for i, array in enumerate(arguments)
    ]
    ports = find_operation(parse_operation(op_type)[0]).outputs
    outputs = [
        ir.Value(name=name, type=ir.TensorType(DTYPES[description[:3]]))
        for name, description in ports
    ]
    node = ir.node(op_type, inputs, attributes, domain=DOMAIN, outputs=outputs)
    feeds = {}
    for value, array in zip(inputs, arguments, strict=True):
        if array.dtype in (np.float32, np.int64):
            feeds[value.name] = array
        else:
            value.const_value = ir.Tensor(array, name=value.name)
    graph = ir.Graph(
        [value for value in inputs if value.name in feeds],
        outputs,
        nodes=[node],
        initializers=[value for value in inputs if value.name not in feeds],
        opset_imports={"": OPSET_VERSION},
        name="call",
    )
    model = ir.Model(graph, ir_version=12)
    attach_functions(model)
    return ort_session(model).run(None, feeds)


def assert_close(actual: NDArray, expected: NDArray) -> None:
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual / scale, expected / scale, rtol=0, atol=FUNCTION)


def scheme_named(name: str):
    return next(scheme for scheme in all_schemes() if scheme.name == name)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("shape", [(N, K), (2, 3, N, K)])
def test_dequantize_is_exact(scheme, shape):
    parts = random_parts(scheme, shape)
    (weight,) = call(op_type("Dequantize", scheme_named(scheme)), *parts)
    np.testing.assert_array_equal(weight, values(scheme, parts))


def test_dequantize_mxfp4_knows_every_scale():
    blocks = np.full((256, 1, 16), 0x72, np.uint8)
    scales = np.arange(256, dtype=np.uint8)[:, None]
    (weight,) = call("Mxfp4Dequantize", blocks, scales)
    exact = np.tile([1.0, 6.0], 16) * 2.0 ** (np.arange(255) - 127)[:, None]
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(weight[:255], exact.astype(np.float32))
    assert np.isnan(weight[255]).all()


@pytest.mark.parametrize(
    ("scheme", "columns"), [("int8-g32", 31), ("int8-g32", 33), ("int4-g32", 34), ("int4-g32", 70)]
)
def test_dequantize_takes_a_short_last_group(scheme, columns):
    parts = random_parts(scheme, (N, columns))
    (weight,) = call(op_type("Dequantize", scheme_named(scheme)), *parts)
    np.testing.assert_array_equal(weight, values(scheme, parts))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_embedding_takes_the_rows_of_the_tokens(scheme):
    parts = random_parts(scheme, (N, K))
    ids = np.array([7, 0, 7, 9])
    (rows,) = call(op_type("Embedding", scheme_named(scheme)), ids, *parts)
    np.testing.assert_array_equal(rows, values(scheme, parts)[ids])


@pytest.mark.parametrize("scheme", SCHEMES)
def test_linear_is_a_product_and_a_bias(scheme):
    x, parts, bias = random_f32(T, K), random_parts(scheme, (N, K)), random_bf16(N)
    (y,) = call(op_type("Linear", scheme_named(scheme)), x, *parts, bias)
    assert_close(y, x.astype(float) @ values(scheme, parts).T + bias.astype(float))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_mat_mul_is_a_product(scheme):
    x, parts = random_f32(T, K), random_parts(scheme, (N, K))
    (y,) = call(op_type("MatMul", scheme_named(scheme)), x, *parts)
    assert_close(y, x.astype(float) @ values(scheme, parts).T)


def test_add_rms_norm_returns_the_norm_and_the_sum():
    x, residual, weight = random_f32(T, K), random_f32(T, K, seed=1), random_bf16(K)
    normed, total = call("AddRmsNorm", x, residual, weight, epsilon=0.1)
    exact = x.astype(float) + residual
    assert_close(total, exact)
    root = np.sqrt((exact**2).mean(axis=1, keepdims=True) + 0.1)
    assert_close(normed, exact / root * weight.astype(float))


def test_router_chooses_the_largest_logits_and_normalizes_them():
    x, weight, bias = random_f32(T, K), random_bf16(E, K), random_bf16(E)
    indices, weights = call("Router", x, weight, bias, k=3)
    logits = x.astype(float) @ weight.astype(float).T + bias.astype(float)
    expected = np.argsort(-logits, axis=1)[:, :3]
    np.testing.assert_array_equal(indices, expected)
    exponentials = np.exp(np.take_along_axis(logits, expected, axis=1))
    assert_close(weights, exponentials / exponentials.sum(axis=1, keepdims=True))


def test_router_gives_equal_logits_to_the_lower_index():
    indices, weights = call("Router", random_f32(T, 8), *(np.zeros(s, BFloat16) for s in
                            ((E, 8), E)), k=3)  # fmt: skip
    assert indices.tolist() == [[0, 1, 2]] * T
    assert_close(weights, np.full((T, 3), 1 / 3))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_expert_swiglu_is_the_gated_product_of_each_chosen_expert(scheme):
    x, bias = random_f32(T, K), random_bf16(E, 2 * N)
    indices = np.array([[4, 0], [1, 1], [2, 3]])
    parts = random_parts(scheme, (E, 2 * N, K))
    (y,) = call(
        op_type("ExpertSwiGlu", scheme_named(scheme)),
        x, indices, *parts, bias, alpha=1.702, limit=3.0,
    )  # fmt: skip
    matrices = values(scheme, parts)[indices]  # [T, k, 2N, K]
    gate_up = np.einsum("tknc,tc->tkn", matrices, x.astype(float)) + bias.astype(float)[indices]
    gate, up = np.minimum(gate_up[..., 0::2], 3.0), gate_up[..., 1::2].clip(-3.0, 3.0)
    assert (gate_up[..., 0::2] > 3.0).any()
    assert (np.abs(gate_up[..., 1::2]) > 3.0).any()
    assert_close(y, (up + 1) * gate / (1 + np.exp(-1.702 * gate)))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_expert_linear_is_the_product_of_each_chosen_expert(scheme):
    x, bias = random_f32(T, TOP_K, K), random_bf16(E, N)
    indices = np.array([[4, 0], [1, 1], [2, 3]])
    parts = random_parts(scheme, (E, N, K))
    (y,) = call(op_type("ExpertLinear", scheme_named(scheme)), x, indices, *parts, bias)
    matrices = values(scheme, parts)[indices]
    product = np.einsum("tknc,tkc->tkn", matrices, x.astype(float))
    assert_close(y, product + bias.astype(float)[indices])


def test_combine_experts_is_a_weighted_sum():
    x, weights = random_f32(T, TOP_K, N), random_f32(T, TOP_K, seed=1)
    (y,) = call("CombineExperts", x, weights)
    assert_close(y, np.einsum("tkn,tk->tn", x.astype(float), weights.astype(float)))


def reference_attention(
    qkv: NDArray, cos: NDArray, sin: NDArray, sinks: NDArray, past: list[NDArray], window: int
) -> tuple[NDArray, NDArray, NDArray]:
    """Attend token by token, head by head; one sequence, ``past`` of ``[nkv, P, hd]``."""
    n_heads, (n_kv, n_past, hd) = len(sinks), past[0].shape
    n = len(qkv)
    heads = qkv.reshape(n, n_heads + 2 * n_kv, hd).astype(float)

    def rotate(x: NDArray) -> NDArray:
        first, second = np.split(x, 2, axis=-1)
        c, s = cos[:, None], sin[:, None]
        return np.concatenate([first * c - second * s, second * c + first * s], axis=-1)

    query, key = rotate(heads[:, :n_heads]), rotate(heads[:, n_heads : n_heads + n_kv])
    keys = np.concatenate([past[0], key.swapaxes(0, 1)], axis=1)
    values = np.concatenate([past[1], heads[:, n_heads + n_kv :].swapaxes(0, 1)], axis=1)
    y = np.zeros((n, n_heads, hd))
    for token in range(n):
        last = n_past + token
        first = max(0, last - window + 1) if window else 0
        for head in range(n_heads):
            kv = head * n_kv // n_heads
            scores = np.exp(0.3 * keys[kv, first : last + 1] @ query[token, head])
            total = scores.sum() + np.exp(sinks[head])
            y[token, head] = scores @ values[kv, first : last + 1] / total
    return y.reshape(n, -1), keys, values


@pytest.mark.parametrize("window", [0, 1, 3, 100])
@pytest.mark.parametrize("n_past", [0, 4])
@pytest.mark.parametrize(("n_heads", "n_kv", "hd"), [(4, 2, 8), (3, 1, 6), (2, 2, 2)])
def test_sink_attention_is_attention_with_a_sink_and_a_window(window, n_past, n_heads, n_kv, hd):
    n = 5
    qkv, sinks = random_f32(n, (n_heads + 2 * n_kv) * hd), random_bf16(n_heads)
    cos, sin = random_f32(1, n, hd // 2, seed=1), random_f32(1, n, hd // 2, seed=2)
    past = [random_f32(1, n_kv, n_past, hd, seed=3), random_f32(1, n_kv, n_past, hd, seed=4)]
    positions = np.arange(n_past, n_past + n)[None]
    y, keys, values = call(
        "SinkAttention", qkv, cos, sin, sinks, *past, positions,
        num_heads=n_heads, num_kv_heads=n_kv, head_dim=hd, window=window, scale=0.3,
    )  # fmt: skip
    flat = [array[0].astype(float) for array in (cos, sin, *past)]
    expected = reference_attention(qkv, *flat[:2], sinks.astype(float), flat[2:], window)
    for actual, exact in zip((y, keys[0], values[0]), expected, strict=True):
        assert_close(actual, exact)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_a_function_has_the_ports_that_the_operation_states(operation):
    if operation.weight is None:
        function = build_function(operation.name)
        assert [value.name for value in function.inputs] == [name for name, _ in operation.inputs]
    for scheme in all_schemes() if operation.weight else ():
        function = build_function(op_type(operation.name, scheme))
        parts = [part.name for part in scheme.parts]
        at = operation.weight.index
        names = [name for name, _ in operation.inputs]
        assert [value.name for value in function.inputs] == names[:at] + parts + names[at + 1 :]
    assert [value.name for value in function.outputs] == [name for name, _ in operation.outputs]
    assert tuple(function.attributes) == find_operation(operation.name).attributes
