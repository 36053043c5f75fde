"""float16 in kernels, number by number."""

import numpy as np
import pytest

from kernel_operands import supported_isas
from ossc.compiler.backends.cpu.kernels.embedding import embedding
from ossc.compiler.backends.cpu.kernels.products.linear import linear
from ossc.compiler.backends.cpu.packing import pack_rows

EVERY = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
"""Zeros, subnormal and normal numbers, infinities and NaN, of both signs."""


@pytest.mark.parametrize("isa", supported_isas())
@pytest.mark.parametrize("cpu", [None, "x86-64-v2"])
def test_every_float16_is_widened_exactly(run, isa, cpu):
    if cpu is not None and isa != "portable":
        pytest.skip(f"{cpu} has portable kernels")
    kernel = linear(
        scheme="f16", activation="f32", rows=len(EVERY), columns=1, bias=False, n=1, isa=isa
    )
    one = np.ones((1, 1), np.float32)
    inputs = [one, pack_rows("f16", [EVERY[:, None]])]
    (out,) = run(kernel, inputs, [("float32", (1, len(EVERY)))], tasks=(0, 1 << 13), cpu=cpu)
    np.testing.assert_array_equal(out[0], EVERY.astype(np.float32))


def test_every_float16_is_looked_up_exactly(run):
    kernel = embedding(scheme="f16", vocab=1, hidden=len(EVERY), n=1)
    table = pack_rows("f16", [EVERY[None]])
    (out,) = run(kernel, [np.zeros(1, np.int64), table], [("float32", (1, len(EVERY)))])
    np.testing.assert_array_equal(out[0], EVERY.astype(np.float32))
    assert (np.signbit(out[0]) == np.signbit(EVERY))[~np.isnan(EVERY)].all()
