"""FuseEmbedding."""

import ml_dtypes
import numpy as np
import pytest

from onnx_graphs import op_types, parse_model, random_f32, run_model
from ossc.compiler.passes.fuse_embedding import FuseEmbedding

WEIGHT = random_f32(9, 4).astype(ml_dtypes.bfloat16)
IDS = np.array([[3, 8, 3]])

LOOKUP = """(int64[B, S] input_ids) => (float[T, 4] y) {
    all = Constant <value_ints = [-1]> ()
    ids = Reshape (input_ids, all)
    rows = Gather <axis = 0> (embed__weight, ids)
    y = Cast <to = 1> (rows)
}"""


@pytest.mark.parametrize(
    ("dtype", "prefix"),
    [(ml_dtypes.bfloat16, "Bf16"), (np.float16, "F16"), (np.float32, "F32")],
)
def test_the_rows_of_the_tokens_become_one_node(dtype, prefix):
    weight = random_f32(9, 4).astype(dtype)
    model = parse_model(LOOKUP, embed__weight=weight)
    assert FuseEmbedding()(model).modified
    assert op_types(model) == {"Constant": 1, "Reshape": 1, f"{prefix}Embedding": 1}
    assert model.graph[-1].name == "embed"
    (y,) = run_model(model, input_ids=IDS)
    np.testing.assert_array_equal(y, weight[IDS[0]].astype(np.float32))


def test_a_table_of_float64_is_left():
    model = parse_model(LOOKUP, embed__weight=WEIGHT.astype(np.float64))
    assert not FuseEmbedding()(model).modified


def test_rows_that_are_chosen_by_computed_values_are_left():
    text = LOOKUP.replace("Reshape (input_ids, all)", "Reshape (neg, all)")
    model = parse_model(
        text.replace("ids = ", "neg = Neg (input_ids) ids = "), embed__weight=WEIGHT
    )
    assert not FuseEmbedding()(model).modified


def test_matrices_of_experts_are_left():
    experts = random_f32(9, 4, 2).astype(ml_dtypes.bfloat16)
    model = parse_model(LOOKUP.replace("[T, 4]", "[T, 4, 2]"), embed__weight=experts)
    assert not FuseEmbedding()(model).modified
