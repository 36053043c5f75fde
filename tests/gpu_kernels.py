"""Runs GPU kernels on a driver of this machine."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import tvm
from numpy.typing import NDArray

from opencl_driver import OpenClDriver, find_driver
from opencl_icd import installed_driver
from ossc.compiler.backends.gpu.codegen import DeviceFunction, generate_device_function
from ossc.compiler.backends.opencl.vector_bodies import with_lookups, with_two_bodies
from ossc.compiler.lowering.kernel import Kernel
from ossc.compiler.lowering.segment import buffer_types

OPENCL = tvm.target.Target({"kind": "opencl"})


def driver_or_skip(name: str = "pocl") -> OpenClDriver:
    """Return a driver; the test is skipped where it is not installed."""
    platform = installed_driver(name).platform
    driver = find_driver(platform)
    assert driver is not None, f"{name} is installed, but OpenCL does not list it"
    return driver


def run_kernel(
    kernel: Kernel, inputs: Sequence[NDArray], n: int = 1, driver: str = "pocl"
) -> list[NDArray]:
    """Run a kernel for ``n`` tokens.

    Args:
        kernel: For GPUs.
        inputs: Its first buffers; those that it changes are changed.
        n: Tokens.
        driver: Of `opencl_icd.DRIVERS`.

    Returns:
        The other buffers, which the kernel writes; they are NaN before, or large numbers.
    """
    device = driver_or_skip(driver)
    types = buffer_types(kernel.func)
    outputs = [
        _ones([_size(dim, n) for dim in type_.shape], type_.dtype) for type_ in types[len(inputs) :]
    ]
    function = code(kernel)
    run_function(device, function, [*inputs, *outputs], n)
    return outputs


def run_function(
    device: OpenClDriver, function: DeviceFunction, arrays: Sequence[NDArray], n: int
) -> None:
    """Run a function of generated source on arrays for ``n`` tokens."""
    grid = function.grid
    device.run(
        function.source,
        function.name,
        [arrays[index] for index in function.arguments],
        groups=[groups.count(n) for groups in grid.groups],
        block=grid.block,
        rows=n if function.takes_rows else None,
    )


def code(kernel: Kernel) -> DeviceFunction:
    """Return what a kernel becomes, with both of its bodies if it has two."""
    function = _code(kernel.name, kernel.func)
    body = kernel.vector_body
    if body is None:
        return function
    both = with_two_bodies(function, body, OPENCL)
    return replace(both, source=with_lookups(both.source))


@cache
def _code(name: str, function: tvm.tirx.PrimFunc) -> DeviceFunction:
    return generate_device_function(name, function, OPENCL)


def _size(dim: object, n: int) -> int:
    return int(dim) if isinstance(dim, tvm.tirx.IntImm) else n


def _ones(shape: Sequence[int], dtype: str) -> NDArray:
    """Return an array whose bits are all 1."""
    size = math.prod(shape) * np.dtype(str(dtype)).itemsize
    return np.full(size, 0xFF, np.uint8).view(str(dtype)).reshape(shape)
