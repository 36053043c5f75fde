"""The kernels of one model."""

from collections.abc import Hashable

import tvm_ffi

from ossc.compiler.backends.cpu.kernels.experts.expert_linear import expert_linear
from ossc.compiler.backends.cpu.kernels.rms_norm import rms_norm
from ossc.compiler.lowering.library import KernelLibrary


def test_a_kernel_is_built_once_for_the_same_parameters():
    library = KernelLibrary()
    first = library.get(rms_norm, hidden=8, epsilon=1e-5, add=False, n=1)
    again = library.get(rms_norm, n=1, add=False, epsilon=1e-5, hidden=8)
    other = library.get(rms_norm, hidden=8, epsilon=1e-5, add=False, n=None)
    assert first is again
    assert library.kernels == {first.name: first, other.name: other}


def mixed(*counts: int) -> dict[str, Hashable]:
    sizes = {"experts": 8, "hidden": 8, "intermediate": 32, "k": 2, "bias": False}
    types = {"scheme": "mxfp4+int8-g32", "activation": "f32", "n": 1, "isa": "avx2"}
    return {**sizes, **types, "counts": counts}


def test_layers_whose_experts_are_divided_otherwise_share_a_kernel_and_its_mean_cost():
    library = KernelLibrary()
    first = library.get(expert_linear, **mixed(6, 2))
    assert library.kernels == {first.name: first}
    other = expert_linear(**mixed(2, 6))
    for _ in range(3):  # as three layers do
        assert library.get(expert_linear, **mixed(2, 6)) is first
    one, three = (kernel.cost.bytes.per_expert for kernel in (first, other))
    assert one < three
    (shared,) = library.kernels.values()
    assert shared.cost.bytes.per_expert == round((one + 3 * three) / 4)
    assert tvm_ffi.structural_hash(first.func) == tvm_ffi.structural_hash(other.func)
    assert shared.name == other.name
