"""Experts that are packed one at a time, as the kernels read them."""

import numpy as np
import onnx_ir as ir
import pytest

from kernel_operands import random_parts
from ossc.compiler.backends.cpu.packed_experts import (
    expert_glu_weight,
    expert_weight,
    held_experts,
)
from ossc.compiler.backends.cpu.packing import pack_glu, pack_rows
from ossc.compiler.quantization import find_scheme
from ossc.compiler.storage import find_weight_type
from ossc.runtimes.manifest import ExpertsScheme

ROWS, COLUMNS = 12, 32
SCHEMES = ("mxfp4", "int8-g32")
PLACES = [(1, 0), (0, 0), (1, 1)]
"""Of each expert: the number of its scheme, and its row in the scheme's parts."""

PRODUCTS = [
    pytest.param(expert_weight, pack_rows, id="linear"),
    pytest.param(expert_glu_weight, pack_glu, id="glu"),
]


def tensors(scheme: str, parts: list[np.ndarray]) -> list[ir.TensorProtocol]:
    names = [part.name for part in find_scheme(scheme).parts]
    return [ir.tensor(p, name=f"w.{scheme}.{n}") for p, n in zip(parts, names, strict=True)]


@pytest.mark.parametrize(("describe", "pack"), PRODUCTS)
def test_experts_of_several_schemes_lie_one_after_the_other(describe, pack):
    parts = [random_parts(s, (n, ROWS, COLUMNS)) for s, n in zip(SCHEMES, (1, 2), strict=True)]
    held = [each for s, p in zip(SCHEMES, parts, strict=True) for each in tensors(s, p)]
    table = ir.tensor(np.array(PLACES, np.int32), name="w.expert_table")
    experts = held_experts(find_weight_type("mxfp4+int8-g32"), [*held, table])
    assert experts.counts == (1, 2)
    weight = describe(experts)
    assert (weight.name, weight.shape) == ("w", (3, ROWS, COLUMNS))
    assert weight.scheme == (
        ExpertsScheme(experts=(1,), scheme="mxfp4"),
        ExpertsScheme(experts=(0, 2), scheme="int8-g32"),
    )
    pieces = list(weight.pieces())
    whole = np.concatenate(pieces)
    assert weight.size_bytes == len(whole)
    entries = np.concatenate(list(weight.table.pieces())).view("<i8").reshape(weight.table_shape)
    assert (weight.table.name, weight.table_shape) == ("w.table", (3, 2))
    for (number, row), (scheme, begin) in zip(PLACES, entries, strict=True):
        packed = pack(SCHEMES[number], [part[row] for part in parts[number]])
        assert (scheme, begin % 64) == (number, 0)
        np.testing.assert_array_equal(whole[begin : begin + len(packed)], packed)


@pytest.mark.parametrize(("describe", "pack"), PRODUCTS)
def test_experts_of_one_scheme_have_a_table_of_places_alone(describe, pack):
    parts = random_parts("mxfp4", (3, ROWS, COLUMNS))
    weight = describe(held_experts(find_scheme("mxfp4"), tensors("mxfp4", parts)))
    assert (weight.name, weight.scheme, weight.table_shape) == ("w.mxfp4", "mxfp4", (3,))
    whole = np.concatenate(list(weight.pieces()))
    for expert, begin in enumerate(np.concatenate(list(weight.table.pieces())).view("<i8")):
        packed = pack("mxfp4", [part[expert] for part in parts])
        np.testing.assert_array_equal(whole[begin : begin + len(packed)], packed)
