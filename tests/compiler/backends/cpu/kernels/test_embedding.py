"""Lookup in packed embedding tables."""

import numpy as np
import pytest

from kernel_operands import random_parts, values
from ossc.compiler.backends.cpu.kernels.embedding import embedding
from ossc.compiler.backends.cpu.packing import pack_rows


@pytest.mark.parametrize(
    ("scheme", "hidden"),
    [
        ("bf16", 45),
        ("f16", 45),
        ("f32", 45),
        ("int4-g32", 46),
        ("int4-g32", 96),
        ("int8-g32", 45),
        ("int8-g32", 96),
        ("mxfp4", 96),
    ],
)
@pytest.mark.parametrize("n", [1, 5])
def test_rows_are_decoded_exactly(run, scheme, hidden, n):
    parts = random_parts(scheme, (11, hidden))
    ids = np.array([10, 0, 3, 7, 8])[:n]
    kernel = embedding(scheme=scheme, vocab=11, hidden=hidden, n=1 if n == 1 else None)
    table = pack_rows(scheme, parts)
    (out,) = run(kernel, [ids, table], [("float32", (n, hidden))], n=n)
    np.testing.assert_array_equal(out, values(scheme, parts)[ids])
