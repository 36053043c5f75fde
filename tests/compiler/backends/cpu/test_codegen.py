"""Our choice of TVM's passes."""

import numpy as np
import pytest
import tvm

from kernel_operands import TVM_TARGETS
from ossc.compiler.backends.cpu.codegen import generate_code
from ossc.compiler.backends.cpu.kernels.experts.router_top_k import router_top_k
from ossc.compiler.backends.cpu.kernels.rms_norm import rms_norm

TARGET = tvm.target.Target(dict(TVM_TARGETS["avx2"]))


@pytest.mark.parametrize(
    ("kernel", "types"),
    [
        pytest.param(
            rms_norm(hidden=44, epsilon=1e-5, add=False, n=None),
            {"x": ((3, 44), "float32"), "weight": ((44,), "float32"), "out": ((3, 44), "float32")},
            id="rms-norm",
        ),
        pytest.param(
            router_top_k(experts=9, k=2, n=None),
            {"x": ((3, 9), "float32"), "indices": ((3, 2), "int32"), "w": ((3, 2), "float32")},
            id="router",
        ),
    ],
)
def test_code_gives_the_bits_of_tvms_own_passes(kernel, types):
    results = []
    for module in (
        generate_code({kernel.name: kernel.func}, TARGET),
        tvm.compile(kernel.func, TARGET),
    ):
        random = np.random.default_rng(5)
        tensors = [
            tvm.runtime.tensor((random.standard_normal(shape) * 9).astype(dtype))
            for shape, dtype in types.values()
        ]
        module[kernel.name](*tensors, 0, 3 * kernel.tasks.per_token + kernel.tasks.fixed)
        results.append([tensor.numpy().tobytes() for tensor in tensors])
    assert results[0] == results[1]
