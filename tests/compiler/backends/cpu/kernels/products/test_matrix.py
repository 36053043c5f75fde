"""Matrices that are larger than int32 counts, and columns that a scheme cannot store."""

import mmap

import numpy as np
import pytest
import tvm

from kernel_operands import TVM_TARGETS
from ossc.compiler.backends.cpu.codegen import generate_code
from ossc.compiler.backends.cpu.kernels.products.linear import linear
from ossc.compiler.backends.cpu.kernels.products.linear_glu import linear_glu
from ossc.compiler.backends.cpu.packing import packed_bytes
from ossc.compiler.lowering.glu import Glu
from ossc.targets.errors import LoweringError

COLUMNS = 1 << 16
OUTPUTS = (1 << 31) // (2 * COLUMNS) + 16
"""Rows of bf16 of a matrix of more than 2 GiB."""

TYPES = {"scheme": "bf16", "activation": "f32", "isa": "avx2"}


@pytest.mark.parametrize("n", [1, None])
@pytest.mark.parametrize("build", ["linear", "linear_glu"])
def test_rows_that_start_beyond_2_gib_are_found(build, n):
    if build == "linear":
        kernel = linear(**TYPES, rows=OUTPUTS, columns=COLUMNS, bias=False, n=n)
        outputs, expected = OUTPUTS, COLUMNS
    else:
        gated = {"intermediate": OUTPUTS // 2, "hidden": COLUMNS, "glu": Glu(kind="silu")}
        kernel = linear_glu(**TYPES, **gated, bias=False, n=n)
        outputs, expected = OUTPUTS // 2, COLUMNS**2
    # LLVM may count further than the int32 it is given, but need not
    reads = [line for line in kernel.func.script().splitlines() if "weight[" in line]
    assert reads
    assert all("int64" in line for line in reads)
    weight = np.frombuffer(mmap.mmap(-1, kernel.cost.bytes.fixed), np.uint8)  # no page exists yet
    last_rows = 8 if build == "linear" else 16
    weight[-last_rows * COLUMNS * 2 :].view(np.uint16)[:] = 0x3F80  # 1.0
    target = tvm.target.Target(TVM_TARGETS["avx2"])
    function = generate_code({kernel.name: kernel.func}, target)[kernel.name]
    x = tvm.runtime.tensor(np.ones((1, COLUMNS), np.float32))
    out = tvm.runtime.tensor(np.zeros((1, outputs), np.float32))
    end = kernel.tasks.fixed
    function(x, tvm.runtime.from_dlpack(weight), out, end - 1, end)
    np.testing.assert_allclose(out.numpy()[0, -8:], expected, rtol=1e-6)


@pytest.mark.parametrize(("scheme", "columns"), [("mxfp4", 40), ("int4-g32", 33)])
def test_columns_that_a_scheme_does_not_store_are_refused(scheme, columns):
    types = {"scheme": scheme, "activation": "f32", "isa": "avx2"}
    with pytest.raises(LoweringError, match=f"A matrix has {columns} columns"):
        linear(**types, rows=8, columns=columns, bias=False, n=1)
    with pytest.raises(LoweringError, match=f"A matrix has {columns} columns"):
        packed_bytes(scheme, 8, columns)
