"""FuseRouter."""

import ml_dtypes
import numpy as np
import pytest

from onnx_graphs import op_types, parse_model, random_f32, run_model
from ossc.compiler.passes.fuse_router import FuseRouter

BFloat16 = ml_dtypes.bfloat16
X = random_f32(6, 8, seed=2)
ROUTER = """(float[T, 8] x) => (int64[T, 2] indices, float[T, 2] weights) {
    logits = ossc.Bf16Linear (x, router__weight, router__bias)
    largest, indices = TopK <axis = -1, largest = 1, sorted = 1> (logits, k)
    weights = Softmax <axis = -1> (largest)
}"""


def router_model(text: str = ROUTER, dtype: type = BFloat16, **initializers: np.ndarray):
    return parse_model(
        text,
        router__weight=random_f32(5, 8).astype(dtype),
        router__bias=random_f32(5, seed=1).astype(BFloat16),
        **({"k": np.array([2])} | initializers),
    )


@pytest.mark.parametrize(
    ("dtype", "prefix"),
    [(ml_dtypes.bfloat16, "Bf16"), (np.float16, "F16"), (np.float32, "F32")],
)
def test_linear_top_k_and_softmax_become_one_node(dtype, prefix):
    model = router_model(ROUTER.replace("Bf16", prefix), dtype)
    indices, weights = run_model(model, x=X)
    assert FuseRouter()(model).modified
    assert op_types(model) == {"Router": 1}
    assert model.graph[0].name == "router"
    assert model.graph[0].attributes["k"].as_int() == 2
    assert [value.name for value in model.graph.outputs] == ["indices", "weights"]
    assert set(model.graph.initializers) == {"router.weight", "router.bias"}
    assert {name for _, name, _ in model.functions} == {"Router"}
    fused_indices, fused_weights = run_model(model, x=X)
    np.testing.assert_array_equal(fused_indices, indices)
    np.testing.assert_allclose(fused_weights, weights, rtol=1e-6)


def test_nodes_that_read_the_indices_early_are_put_after_the_router():
    text = ROUTER.replace("(int64[T, 2] indices,", "(int64[T, 2] chosen,").replace(
        "weights = Softmax", "chosen = Neg (indices) weights = Softmax"
    )
    model = router_model(text)
    before = run_model(model, x=X)
    FuseRouter()(model)
    assert [node.op_type for node in model.graph] == ["Router", "Neg"]
    np.testing.assert_array_equal(run_model(model, x=X)[0], before[0])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            """(float[T, 8] x) => (int64[T, 2] indices, float[T, 2] weights) {
                logits = ossc.Bf16Linear (x, router__weight, router__bias)
                all = Softmax <axis = -1> (logits)
                weights, indices = TopK <axis = -1, largest = 1, sorted = 1> (all, k)
            }""",
            id="softmax-of-all-logits",
        ),
        pytest.param(ROUTER.replace("largest = 1", "largest = 0"), id="smallest"),
        pytest.param(
            ROUTER.replace("weights)", "weights, float[T, 5] logits)", 1), id="logits-are-read"
        ),
        pytest.param(
            ROUTER.replace("(float[T, 8] x)", "(float[T, 8] x, int64[1] k)"), id="computed-k"
        ),
    ],
)
def test_other_choices_are_left(text):
    initializers = {} if "int64[1] k" in text else {"k": np.array([2])}
    model = parse_model(
        text,
        router__weight=random_f32(5, 8).astype(BFloat16),
        router__bias=random_f32(5, seed=1).astype(BFloat16),
        **initializers,
    )
    assert not FuseRouter()(model).modified
