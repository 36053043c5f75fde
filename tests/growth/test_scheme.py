"""docs/adding-a-scheme.md, followed: quantized graphs and kernels of its scheme."""

from dataclasses import replace

import numpy as np
import pytest

from growth.page import every_step, followed
from operations import dequantized
from operations.cases import CASES
from operations.conformance import assert_close, expected
from operations.node_comparison import compare
from operations.onnxruntime_runner import run
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.pipeline import quantized_model
from ossc.compiler.quantization import all_schemes, find_scheme
from ossc.compiler.quantization.plan import load_plan
from ossc.targets.errors import OsscError, QuantizationError
from synthetic import SyntheticShape, make_checkpoint
from tolerances import FUNCTION

PAGE = "adding-a-scheme"
NAME = "int5-g32"

OPERATIONS = ("Embedding", "Linear", "ExpertGlu")
"""One of each way into a kernel: rows that are looked up, a matrix, and those of experts."""

TYPICAL = [
    next(c for c in CASES if c.operation == name and c.weight[0] == "int4-g32")
    for name in OPERATIONS
]


def use(names: dict) -> None:
    """Quantize, dequantize, and compute with the scheme in onnxruntime and on this CPU."""
    scheme = find_scheme(NAME)
    weight = np.random.default_rng(0).standard_normal((6, 200), dtype=np.float32)
    error = np.abs(scheme.dequantize(*scheme.quantize(weight)) - weight)
    assert error.max() <= np.abs(weight).max() / 15 * 0.51  # half a step, and the scale's rounding
    with pytest.raises(QuantizationError, match="choose int8-g32"):
        scheme.part_shapes((6, 33))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(dequantized.FORMATS, NAME, names["int5"])
        for case in TYPICAL:
            shape = (*case.weight[1][:-1], 72)  # no whole groups
            shapes = {**case.shapes, **({"x": ("T", 72)} if "x" in case.shapes else {})}
            same = replace(case, weight=(NAME, shape), shapes=shapes)
            inputs = same.inputs(5)
            assert_close(run(same, inputs), expected(same, inputs), FUNCTION)
            compare(same, "f32" if case.operation == "Embedding" else "int8x2")


def test_the_scheme_of_the_page_is_computed_everywhere(tmp_path):
    with followed(PAGE, tmp_path) as names:
        use(names)
    assert NAME not in {scheme.name for scheme in all_schemes()}


def test_the_scheme_of_the_page_is_a_preset(tmp_path):
    source = SourceModel.open(make_checkpoint(tmp_path / "m", SyntheticShape(num_hidden_layers=1)))
    with followed(PAGE, tmp_path / "page"):
        model = quantized_model(source, load_plan(NAME))
        assert any(node.overload.startswith(NAME) for node in model.graph)
        five, eight = (
            reference_logits(each, [1, 2, 3, 4]).logits
            for each in (model, quantized_model(source, load_plan("int8-g32")))
        )
    error = np.abs(five - eight).max() / np.abs(eight).max()
    assert 0 < error < 0.2


@every_step(PAGE)
def test_without_one_of_the_steps_there_is_no_such_scheme(tmp_path, step):
    with (
        pytest.raises((ImportError, NameError, AttributeError, KeyError, OsscError)),
        followed(PAGE, tmp_path, without=step) as names,
    ):
        use(names)
