"""Finding a scheme's packed form."""

import pytest

from ossc.compiler.backends.cpu.weights import find_format
from ossc.targets.errors import LoweringError


@pytest.mark.parametrize(
    ("scheme", "columns", "size_bytes"),
    [
        pytest.param("bf16", 5, 80, id="bf16-has-no-blocks"),
        pytest.param("int8-g32", 64, 2 * (256 + 16), id="int8-g32"),
        pytest.param("int8-g32", 65, 3 * (256 + 16), id="int8-g32-short-block-is-stored-whole"),
        pytest.param("int4-g32", 64, 2 * (128 + 16), id="int4-g32"),
        pytest.param("int4-g32", 66, 3 * (128 + 16), id="int4-g32-short-block-is-stored-whole"),
        pytest.param("mxfp4", 64, 2 * (128 + 8), id="mxfp4"),
    ],
)
def test_size_of_eight_rows(scheme, columns, size_bytes):
    layout = find_format(scheme)
    assert layout.scheme == scheme
    assert layout.row_group_bytes(columns) == size_bytes


@pytest.mark.parametrize("scheme", ["int3-g7", "format", "", "os"])
def test_a_scheme_without_kernels_is_refused(scheme):
    with pytest.raises(LoweringError, match="No kernel reads"):
        find_format(scheme)
