"""What would be too large is refused before it is made."""

import pytest

from ossc.runtimes.template_growth import check_filter, check_method, check_operator
from ossc.runtimes.template_limits import Budget, TemplateLimitError, TemplateLimits

LIMITS = TemplateLimits(characters=1000)


@pytest.mark.parametrize(
    ("name", "value", "args"),
    [
        pytest.param("center", "a", [2000], id="center"),
        pytest.param("indent", "a\nb", [2000], id="indent"),
        pytest.param("indent", "a\n" * 20, ["x" * 50], id="indent-text"),
        pytest.param("replace", "a" * 50, ["a", "b" * 50], id="replace"),
        pytest.param("replace", "a" * 50, ["", "b" * 50], id="replace-nothing"),
        pytest.param("join", ["a"] * 50, ["b" * 50], id="join"),
        pytest.param("join", iter(["a" * 50] * 50), [], id="join-generator"),
        pytest.param("batch", [1], [2000, 0], id="batch"),
        pytest.param("slice", [1], [2000], id="slice"),
        pytest.param("wordwrap", "a" * 50, [1, True, "b" * 50], id="wordwrap"),
        pytest.param("urlize", "a" * 50, [None, False, "b" * 50], id="urlize"),
        pytest.param("sum", [["a"]] * 50, [None, []], id="sum"),
        pytest.param("sum", iter([["a"]] * 50), [None, []], id="sum-generator"),
        pytest.param("round", 1.5, [2000, "ceil"], id="round"),
        pytest.param("tojson", [1], [False, 2000], id="tojson"),
        pytest.param("format", "%2000d", [1], id="format"),
    ],
)
def test_filters(name, value, args):
    with pytest.raises(TemplateLimitError):
        check_filter(Budget(limits=LIMITS), name, value, args, {})


@pytest.mark.parametrize("name", ["pprint", "striptags", "urlize", "wordwrap"])
def test_slow_filters_get_short_texts(name):
    with pytest.raises(TemplateLimitError, match=name):
        check_filter(Budget(limits=TemplateLimits()), name, "a" * 70_000, [], {})


@pytest.mark.parametrize(
    ("method", "args"),
    [
        pytest.param("a".center, [2000], id="center"),
        pytest.param("a".ljust, [2000], id="ljust"),
        pytest.param("a".rjust, [2000], id="rjust"),
        pytest.param("a".zfill, [2000], id="zfill"),
        pytest.param(b"a".zfill, [2000], id="bytes"),
        pytest.param("\t".expandtabs, [2000], id="expandtabs"),
        pytest.param(("a" * 50).replace, ["a", "b" * 50], id="replace"),
        pytest.param((b"a" * 50).replace, [b"a", b"b" * 50], id="replace-bytes"),
        pytest.param(("b" * 50).join, [["a"] * 50], id="join"),
        pytest.param("".join, [iter(["a" * 50] * 50)], id="join-generator"),
        pytest.param(("a" * 50).translate, [{97: "b" * 50}], id="translate"),
        pytest.param((1).to_bytes, [2000, "big"], id="to-bytes"),
        pytest.param("{:2000}".format, [1], id="format"),
        pytest.param("{:>2000}".format_map, [{}], id="format-map"),
        pytest.param("{a:.2000f}".format, [], id="format-precision"),
        pytest.param("{:{}}".format, [1, 2000], id="format-argument"),
        pytest.param("{:600}{:600}".format, [1, 2], id="format-twice"),
    ],
)
def test_methods(method, args):
    with pytest.raises(TemplateLimitError):
        check_method(Budget(limits=LIMITS), method, args, {})


@pytest.mark.parametrize(
    ("operator", "left", "right"),
    [
        pytest.param("*", "ab", 1000, id="text"),
        pytest.param("*", 1000, [1, 2], id="list"),
        pytest.param("*", 2**3000, 2**3000, id="integers"),
        pytest.param("**", 2, 10**9, id="power"),
        pytest.param("**", 2**3000, 2, id="large-base"),
        pytest.param("%", "%2000d", 1, id="format"),
        pytest.param("%", "%(a)-2000d", {"a": 1}, id="format-name"),
        pytest.param("%", "%.2000f", 1.5, id="format-precision"),
        pytest.param("%", "%*d", (2000, 1), id="format-argument"),
        pytest.param("%", b"%2000d", 1, id="format-bytes"),
        pytest.param("%", "%600d%600d", (1, 2), id="format-twice"),
    ],
)
def test_operators(operator, left, right):
    with pytest.raises(TemplateLimitError):
        check_operator(Budget(limits=LIMITS), operator, left, right)


def test_usual_uses_pass():
    budget = Budget(limits=LIMITS)
    assert check_filter(budget, "join", iter(["a", "b"]), [", "], {}) == ["a", "b"]
    check_filter(budget, "tojson", {"a": 1}, [], {"indent": 4})
    check_filter(budget, "sum", [1, 2], ["size"], {})
    check_filter(budget, "round", 1.5, [2], {})
    assert check_method(budget, "a b".split, [" "], {}) == [" "]
    assert check_method(budget, ", ".join, [iter("ab")], {}) == [["a", "b"]]
    check_method(budget, {"a": 1}.get, ["a"], {})
    check_method(budget, "in 20240: {:>9} {0[1]} {{2024}} {x:.2f}".format, [1], {"x": 1})
    check_operator(budget, "%", "100 % in 20240: %5.2f, %d", (1, 2))
    check_operator(budget, "%", 7, 2)
    check_operator(budget, "*", 2.5, 10**6)
    check_operator(budget, "*", "-", 40)
    check_operator(budget, "*", "-", -(10**9))
    check_operator(budget, "**", 2, 10)
