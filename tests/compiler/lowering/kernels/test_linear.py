"""Matrix products of each scheme, activation type and instruction set against float64."""

import numpy as np
import pytest

from kernel_operands import random_activations, random_parts, values
from ossc.compiler.lowering.kernels.linear import linear
from ossc.compiler.lowering.packing import pack_rows

PAIRS = [
    ("bf16", "f32"),
    ("mxfp4", "f32"),
    ("int8-g32", "f32"),
    ("mxfp4", "int8"),
    ("int8-g32", "int8"),
]
ISAS = ["avx2", "portable"]


def product(run, scheme, activation, isa, shape, n, *, bias=True, cpu="x86-64-v3"):
    """Return the kernel's result and the float64 one, ``[n, rows]`` both."""
    rows, columns = shape
    parts = random_parts(scheme, shape)
    x = random_activations(activation, (n, columns))
    added = np.random.default_rng(2).standard_normal(rows).astype(np.float32)
    kernel = linear(
        scheme=scheme,
        activation=activation,
        rows=rows,
        columns=columns,
        bias=bias,
        n=None if n > 1 else 1,
        isa=isa,
    )
    inputs = [*x.arrays, pack_rows(scheme, parts), *([added] if bias else [])]
    (out,) = run(kernel, inputs, [("float32", (n, rows))], n=n, cpu=cpu)
    return out, x.values @ values(scheme, parts).T + (added if bias else 0)


@pytest.mark.parametrize(("scheme", "activation"), PAIRS)
@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("n", [1, 7])
def test_product_matches_float64(run, scheme, activation, isa, n):
    out, expected = product(run, scheme, activation, isa, (21, 2880), n)
    np.testing.assert_allclose(out, expected, rtol=0, atol=2e-6 * np.abs(expected).max())
