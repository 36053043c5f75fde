"""What kernels take, as the runtime compares it with a plan."""

import pytest
import tvm
from tvm.script import tirx as T

from ossc.compiler.backends.cpu.kernels.rms_norm import rms_norm
from ossc.compiler.backends.cpu.signature import BufferType, Signature, signature_of
from ossc.runtimes.plan import DType

ROWS = BufferType(DType.F32, (-1, 8))
WEIGHT = BufferType(DType.F32, (8,))
NORM = Signature(buffers=(ROWS, WEIGHT, ROWS), ranged=True)


def test_it_is_read_of_a_function():
    kernel = rms_norm(hidden=8, epsilon=1e-5, add=False, n=None)
    assert signature_of(kernel.func) == NORM


def test_a_number_of_tokens_may_be_fixed():
    kernel = rms_norm(hidden=8, epsilon=1e-5, add=False, n=1)
    one = BufferType(DType.F32, (1, 8))
    assert signature_of(kernel.func) == Signature(buffers=(one, WEIGHT, one), ranged=True)


def test_a_function_that_takes_something_else_is_none_of_ours():
    @T.prim_func
    def scalar_first(count: T.int32, x: T.Buffer((8,), "float32")):
        x[0] = T.cast(count, "float32")

    with pytest.raises(TypeError, match="not buffers and perhaps a range"):
        signature_of(scalar_first)


def test_a_size_is_a_number_or_said():
    n = tvm.tirx.Var("n", "int64")
    x = tvm.te.placeholder((n * 2,), "float32")
    function = tvm.te.create_prim_func([x, tvm.te.compute((n * 2,), lambda i: x[i] + x[i])])
    with pytest.raises(TypeError, match="neither a number nor one that calls say"):
        signature_of(function)


def test_sizes_that_calls_say_have_numbers():
    n, m = (tvm.te.var(name, "int64") for name in "nm")
    x = tvm.te.placeholder((m, n), "float32")
    function = tvm.te.create_prim_func([x, tvm.te.compute((n, m), lambda i, j: x[j, i])])
    shapes = [buffer.shape for buffer in signature_of(function).buffers]
    assert sorted(shapes) == [(-2, -1), (-1, -2)]
    assert signature_of(function).takes(of((3, 5), (5, 3)))
    assert not signature_of(function).takes(of((3, 5), (3, 5)))


def of(*shapes, dtype=DType.F32):
    return [BufferType(dtype, shape) for shape in shapes]


@pytest.mark.parametrize(
    ("buffers", "fit"),
    [
        (of((-1, 8), (8,), (-1, 8)), True),
        (of((3, 8), (8,), (3, 8)), True),
        (of((3, 8), (8,), (4, 8)), False),
        (of((3, 8), (9,), (3, 8)), False),
        (of((3, 8), (8,)), False),
        (of((3, 8, 1), (8,), (3, 8)), False),
        (of((3, 8), (8,), (3, 8), dtype=DType.I32), False),
    ],
)
def test_buffers_fit_or_not(buffers, fit):
    assert NORM.takes(buffers) == fit
