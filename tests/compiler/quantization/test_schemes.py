"""What every scheme keeps, and how schemes are found."""

from pathlib import Path

import numpy as np
import pytest

from ossc.compiler import quantization
from ossc.compiler.quantization import all_schemes, find_scheme
from ossc.targets.errors import UnknownNameError

FOLDER = Path(quantization.__file__).parent


@pytest.mark.parametrize("scheme", all_schemes(), ids=lambda scheme: scheme.name)
def test_a_scheme_is_found_by_the_name_of_its_file(scheme):
    assert (FOLDER / f"{scheme.name.replace('-', '_')}.py").is_file()
    assert find_scheme(scheme.name) is scheme


@pytest.mark.parametrize("scheme", all_schemes(), ids=lambda scheme: scheme.name)
def test_the_parts_have_the_shapes_dtypes_and_bits_that_the_scheme_states(scheme):
    shape = (2, 3, 320)
    parts = scheme.quantize(np.ones(shape, np.float32))
    assert tuple(part.shape for part in parts) == scheme.part_shapes(shape)
    assert scheme.weight_shape(tuple(part.shape for part in parts)) == shape
    assert [part.dtype for part in parts] == [part.dtype for part in scheme.parts]
    assert sum(part.nbytes for part in parts) * 8 == np.prod(shape) * scheme.bits
    np.testing.assert_allclose(scheme.dequantize(*parts, columns=320), np.ones(shape), rtol=0.001)


def test_an_unknown_scheme_is_an_error_that_suggests():
    with pytest.raises(UnknownNameError, match="did you mean 'int8-g32'"):
        find_scheme("int8")
