"""What a pattern matches."""

import numpy as np

from onnx_graphs import parse_model
from ossc.compiler.passes.pattern import Match, Pattern

SUM_OF_PRODUCT = Pattern("(a, b, c) => (y) { p = Mul (a, b) y = Add (p, c) }")


def match_last(pattern: Pattern, text: str, **initializers: np.ndarray) -> Match | None:
    model = parse_model(text, **initializers)
    return pattern.match(model.graph[-1])


def test_inputs_of_a_pattern_stand_for_any_values():
    match = match_last(
        SUM_OF_PRODUCT,
        "(float[2] u, float[2] v) => (float[2] z) { w = Exp (u) q = Mul (w, v) z = Add (q, u) }",
    )
    assert match is not None
    assert {name: value.name for name, value in match.values.items()} == {
        "a": "w",
        "b": "v",
        "c": "u",
        "p": "q",
        "y": "z",
    }
    assert [node.op_type for node in match.nodes] == ["Add", "Mul"]


def test_operands_of_a_commutative_operator_may_be_swapped():
    match = match_last(
        SUM_OF_PRODUCT, "(float[2] u, float[2] v) => (float[2] z) { q = Mul (u, v) z = Add (v, q) }"
    )
    assert match is not None
    assert match.values["c"].name == "v"


def test_the_second_order_starts_from_nothing():
    pattern = Pattern("(a, b) => (y) { e = Exp (b) y = Add (a, e) }")
    text = "(float[2] u, float[2] v) => (float[2] z) { q = Exp (u) z = Add (q, v) }"
    match = match_last(pattern, text)
    assert match is not None
    assert (match.values["a"].name, match.values["b"].name) == ("v", "u")


def test_operands_of_another_operator_may_not_be_swapped():
    pattern = Pattern("(a, b) => (y) { p = Exp (a) y = Sub (p, b) }")
    text = "(float[2] u) => (float[2] z) { q = Exp (u) z = Sub (u, q) }"
    assert match_last(pattern, text) is None


def test_a_name_stands_for_one_value_only():
    square = Pattern("(a) => (y) { y = Mul (a, a) }")
    assert match_last(square, "(float[2] u) => (float[2] z) { z = Mul (u, u) }")
    assert not match_last(square, "(float[2] u, float[2] v) => (float[2] z) { z = Mul (u, v) }")


def test_an_inner_value_with_another_reader_prevents_a_match():
    text = (
        "(float[2] u, float[2] v) => (float[2] s, float[2] z)"
        "{ q = Mul (u, v) s = Exp (q) z = Add (q, u) }"
    )
    assert match_last(SUM_OF_PRODUCT, text) is None
    shared = Pattern("(a, b, c) => (y) { p = Mul (a, b) y = Add (p, c) }", shared=("p",))
    assert match_last(shared, text) is not None


def test_an_inner_value_that_is_a_graph_output_prevents_a_match():
    text = "(float[2] u) => (float[2] q, float[2] z) { q = Mul (u, u) z = Add (q, u) }"
    assert match_last(SUM_OF_PRODUCT, text) is None


def test_literal_attributes_have_to_agree_and_named_ones_are_returned():
    pattern = Pattern(
        "<epsilon> (a, w) => (y)"
        "{ y = RMSNormalization <epsilon: float = @epsilon, axis = -1> (a, w) }"
    )
    text = "(float[2,2] u, float[2] w) => (float[2,2] z) {{ z = RMSNormalization <{}> (u, w) }}"
    match = match_last(pattern, text.format("epsilon = 0.5, axis = -1"))
    assert match is not None
    assert match.attributes["epsilon"].as_float() == 0.5
    assert match_last(pattern, text.format("epsilon = 0.5, axis = 1")) is None
    assert match_last(pattern, text.format("epsilon = 0.5")) is None


def test_constants_have_to_agree_in_value_shape_and_type():
    pattern = Pattern(
        "(a) => (y) { axes = Constant <value_ints = [1]> () y = Unsqueeze (a, axes) }"
    )
    text = "(float[2] u) => (float[2,1] z) { z = Unsqueeze (u, axes) }"
    assert match_last(pattern, text, axes=np.array([1]))
    assert not match_last(pattern, text, axes=np.array([0]))
    assert not match_last(pattern, text, axes=np.array([1, 2]))
    assert not match_last(pattern, text, axes=np.array([1], np.int32))
    computed = text.replace("(float[2] u)", "(float[2] u, int64[1] axes)")
    assert not match_last(pattern, computed)


def test_a_constant_may_be_a_node_too():
    axes = "axes = Constant <value_ints = [1]> ()"
    pattern = Pattern(f"(a) => (y) {{ {axes} y = Unsqueeze (a, axes) }}")
    assert match_last(
        pattern, f"(float[2] u) => (float[2,1] z) {{ {axes} z = Unsqueeze (u, axes) }}"
    )


def test_each_output_of_a_node_is_told_apart():
    pattern = Pattern("(a, k) => (i, y) { v, i = TopK <axis = -1> (a, k) y = Exp (v) }")
    text = "(float[4] u, int64[1] k) => (float[2] z) { v, i = TopK <axis = -1> (u, k) "
    assert match_last(pattern, text + "z = Exp (v) }")
    assert not match_last(pattern, text + "w = Cast <to = 1> (i) z = Exp (i) }")


def test_constants_are_read_by_name():
    pattern = Pattern("(a, k, s) => (y) { v = Reshape (a, k) y = Mul (v, s) }")
    text = "(float[4] u) => (float[2,2] z) { v = Reshape (u, k) z = Mul (v, s) }"
    match = match_last(pattern, text, k=np.array([2, 2]), s=np.array(0.5, np.float32))
    assert match is not None
    assert (match.constant("k"), match.constant("a")) == ([2, 2], None)
    assert (match.scalar("s"), match.scalar("k"), match.scalar("a")) == (0.5, None, None)
