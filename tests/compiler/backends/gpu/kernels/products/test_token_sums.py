"""One token's products in both forms: PoCL takes vectors, and rusticl what is for GPUs."""

from dataclasses import replace

import numpy as np
import pytest

import tolerances
from glu_reference import gated
from gpu_kernels import code, driver_or_skip, run_function, run_kernel
from kernel_operands import random_parts, values
from ossc.compiler.backends.gpu.kernels.products.linear import linear
from ossc.compiler.backends.gpu.kernels.products.linear_glu import linear_glu
from ossc.compiler.backends.gpu.packed import pack_glu, pack_matrix
from ossc.compiler.backends.gpu.weights import find_format
from ossc.compiler.backends.opencl.source_check import check_source
from ossc.compiler.lowering.glu import Glu

ROWS = 36
"""Of which the last group of sixteen has four."""

COLUMNS = {"f32": 45, "bf16": 45, "f16": 45, "int8-g32": 75, "int4-g32": 96, "mxfp4": 160}

DRIVERS = {"pocl": "#if", "rusticl": "#else"}
"""By driver, what begins the body that it is to take."""


def assert_close(result, expected):
    largest = np.abs(expected).max()
    np.testing.assert_allclose(result, expected, rtol=0, atol=tolerances.PRODUCT * largest)


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(("scheme", "columns"), COLUMNS.items())
def test_a_product_matches_float64(scheme, columns, driver):
    parts, rng = random_parts(scheme, (ROWS, columns)), np.random.default_rng(1)
    x = rng.standard_normal((1, columns)).astype(np.float32)
    bias = rng.standard_normal(ROWS).astype(np.float32)
    kernel = linear(scheme=scheme, rows=ROWS, columns=columns, bias=True, n=1)
    packed = pack_matrix(find_format(scheme), parts, columns)
    (result,) = run_kernel(kernel, [x, packed, bias], driver=driver)
    assert_close(result, x.astype(np.float64) @ values(scheme, parts).T + bias)


@pytest.mark.parametrize("scheme", ["mxfp4", "int4-g32"])
@pytest.mark.parametrize("macro", ["__AVX512F__", "OSSC_NO_CPU"])
def test_every_code_has_its_value_with_a_table_and_with_arithmetic(scheme, macro):
    """Each code meets a 1 and zeros; a machine without AVX-512 does the same twice."""
    parts = random_parts(scheme, (16, 32))
    kernel = linear(scheme=scheme, rows=16, columns=32, bias=False, n=1)
    function = code(kernel)
    source = function.source.replace("__AVX512F__", macro)
    packed, driver = pack_matrix(find_format(scheme), parts, 32), driver_or_skip("pocl")
    expected = values(scheme, parts).T
    assert len(np.unique(np.abs(parts[0]) & 15)) > 10
    for column in range(32):
        x, out = np.eye(32, dtype=np.float32)[column : column + 1], np.zeros((1, 16), np.float32)
        run_function(driver, replace(function, source=source), [x, packed, out], 1)
        np.testing.assert_array_equal(out[0], expected[column])


@pytest.mark.parametrize("scheme", COLUMNS)
def test_code_with_both_bodies_passes_the_check(scheme, tmp_path):
    path = tmp_path / "kernels.cl"
    path.write_text(code(linear(scheme=scheme, rows=16, columns=64, bias=False, n=1)).source)
    check_source(path)


@pytest.mark.parametrize("driver", DRIVERS)
def test_gates_meet_their_ups(driver):
    parts, rng = random_parts("int8-g32", (2 * ROWS, 64)), np.random.default_rng(1)
    x = rng.standard_normal((1, 64)).astype(np.float32)
    glu = Glu(kind="silu")
    kernel = linear_glu(scheme="int8-g32", intermediate=ROWS, hidden=64, glu=glu, bias=False, n=1)
    packed = pack_glu(find_format("int8-g32"), parts, 64)
    (result,) = run_kernel(kernel, [x, packed], driver=driver)
    sums = x.astype(np.float64) @ values("int8-g32", parts).T
    assert_close(result, gated(glu, sums[:, ::2], sums[:, 1::2]))


@pytest.mark.parametrize(("driver", "taken"), DRIVERS.items())
def test_a_driver_takes_the_body_that_is_for_it(driver, taken):
    kernel = linear(scheme="f32", rows=16, columns=32, bias=False, n=1)
    function = code(kernel)
    condition, rest = function.source.split("\n", 1)
    vectors, others = rest.removesuffix("#endif\n").split("#else\n")
    kept = (vectors, "") if taken == "#if" else ("", others)
    source = f"{condition}\n{kept[0]}#else\n{kept[1]}#endif\n"
    x, out = np.ones((1, 32), np.float32), np.zeros((1, 16), np.float32)
    weight = pack_matrix(find_format("f32"), [np.ones((16, 32), np.float32)], 32)
    alone = replace(function, source=source)
    run_function(driver_or_skip(driver), alone, [x, weight, out], 1)
    assert (out == 32).all()
    assert ("float16" in vectors, "float16" in others) == (True, False)
