"""Weights that are packed a few rows at a time, as the kernels read them."""

import numpy as np
import onnx_ir as ir
import pytest

from kernel_operands import random_parts
from ossc.compiler.backends.cpu import packed
from ossc.compiler.backends.cpu.packing import pack_glu, pack_rows
from ossc.compiler.lowering import weight_rows
from ossc.compiler.quantization import find_scheme


@pytest.mark.parametrize("scheme", ["bf16", "int8-g32", "mxfp4"])
@pytest.mark.parametrize("rows", [16, 74])
@pytest.mark.parametrize(
    ("describe", "pack"), [(packed.glu_weight, pack_glu), (packed.matrix_weight, pack_rows)]
)
def test_pieces_of_a_matrix_are_its_packed_rows(monkeypatch, scheme, rows, describe, pack):
    monkeypatch.setattr(
        weight_rows, "PIECE_ELEMENTS", 40 * 64
    )  # 40 rows: two groups of gates and ups
    parts = random_parts(scheme, (rows, 64))
    names = [part.name for part in find_scheme(scheme).parts]
    tensors = [ir.tensor(part, name=f"w.{name}") for part, name in zip(parts, names, strict=True)]
    weight = describe(find_scheme(scheme), tensors)
    pieces = list(weight.pieces())
    assert len(pieces) == -(-rows // 32)
    whole = np.concatenate(pieces)
    assert weight.size_bytes == len(whole)
    np.testing.assert_array_equal(whole, pack(scheme, parts))
