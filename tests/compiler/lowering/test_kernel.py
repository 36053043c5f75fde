"""What holds for every kernel's function, seen on a small one."""

from ossc.compiler.backends.cpu.kernels.rms_norm import rms_norm
from ossc.compiler.lowering.kernel import symbol


def test_a_symbol_is_a_c_identifier_made_from_all_parameters():
    assert symbol("rms_norm", 2880, 1e-05, n=1) == "rms_norm_2880_1em05_n1"
    assert symbol("linear", "int8-g32", 0.5, n=None) == "linear_int8mg32_0p5_n"


def test_tasks_are_counted_per_token():
    kernel = rms_norm(hidden=8, epsilon=1e-5, add=False, n=None)
    assert (kernel.tasks.fixed, kernel.tasks.per_token) == (0, 1)


def test_scalars_come_after_the_buffers():
    kernel = rms_norm(hidden=8, epsilon=1e-5, add=True, n=1)
    names = [parameter.name for parameter in kernel.func.params]
    assert names == ["x", "residual", "weight", "normed", "sum", "begin", "end"]
