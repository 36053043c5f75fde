"""The kernels of one model."""

from ossc.compiler.backends.cpu.kernels.rms_norm import rms_norm
from ossc.compiler.lowering.library import KernelLibrary


def test_a_kernel_is_built_once_for_the_same_parameters():
    library = KernelLibrary()
    first = library.get(rms_norm, hidden=8, epsilon=1e-5, add=False, n=1)
    again = library.get(rms_norm, n=1, add=False, epsilon=1e-5, hidden=8)
    other = library.get(rms_norm, hidden=8, epsilon=1e-5, add=False, n=None)
    assert first is again
    assert library.kernels == {first.name: first, other.name: other}
