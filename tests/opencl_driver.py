"""OpenCL's C API, as far as tests need it: source is built, and functions run on NumPy arrays."""

import ctypes
from collections.abc import Sequence
from ctypes import POINTER, byref, c_char_p, c_int, c_size_t, c_uint, c_void_p
from functools import cache

import numpy as np
from numpy.typing import NDArray

GUARD_BYTES = 64
"""Bytes behind each buffer that must stay as they are; all ones, which is NaN."""

_ALL_DEVICES = 0xFFFFFFFF
_BUILD_LOG = 0x1183
_PLATFORM_NAME = 0x0902
_READ_WRITE, _COPY_HOST_POINTER = 1, 32


class OpenClDriver:
    """The first device of one driver."""

    def __init__(self, platform: c_void_p) -> None:
        self._cl = _library()
        self._device = c_void_p()
        self._check(
            "clGetDeviceIDs", platform, c_void_p(_ALL_DEVICES), 1, byref(self._device), None
        )
        self._context = self._create("clCreateContext", None, 1, byref(self._device), None, None)
        self._queue = self._create("clCreateCommandQueue", self._context, self._device, c_void_p(0))
        self._programs: dict[str, c_void_p] = {}

    def run(
        self,
        source: str,
        name: str,
        arrays: Sequence[NDArray],
        *,
        groups: Sequence[int],
        block: Sequence[int],
        rows: int | None = None,
    ) -> None:
        """Run a function; the arrays, which are contiguous, hold its results afterwards.

        Args:
            source: Of the program, which is built once.
            name: The function's.
            arrays: Its buffers.
            groups: In x, y and z.
            block: Work-items of a group in x, y and z.
            rows: The int32 after the buffers, if the function takes one.
        """
        kernel = self._create("clCreateKernel", self._program(source), c_char_p(name.encode()))
        buffers = [self._upload(array) for array in arrays]
        arguments = [*buffers, *([c_int(rows)] if rows is not None else [])]
        for index, value in enumerate(arguments):
            self._check(
                "clSetKernelArg", kernel, index, c_size_t(ctypes.sizeof(value)), byref(value)
            )
        sizes = (c_size_t * 3)(*(count * size for count, size in zip(groups, block, strict=True)))
        self._check(
            "clEnqueueNDRangeKernel", self._queue, kernel, 3, None, sizes, (c_size_t * 3)(*block),
            0, None, None,
        )  # fmt: skip
        for buffer, array in zip(buffers, arrays, strict=True):
            self._download(buffer, array)
        self._check("clReleaseKernel", kernel)

    def _program(self, source: str) -> c_void_p:
        if source not in self._programs:
            text = c_char_p(source.encode())
            program = self._create("clCreateProgramWithSource", self._context, 1, byref(text), None)
            status = self._cl.clBuildProgram(program, 1, byref(self._device), None, None, None)
            assert status == 0, self._build_log(program)
            self._programs[source] = program
        return self._programs[source]

    def _build_log(self, program: c_void_p) -> str:
        log = ctypes.create_string_buffer(1 << 16)
        arguments = (program, self._device, _BUILD_LOG, c_size_t(len(log)), log, None)
        self._cl.clGetProgramBuildInfo(*arguments)
        return log.value.decode(errors="replace")

    def _upload(self, array: NDArray) -> c_void_p:
        data = np.full(array.nbytes + GUARD_BYTES, 0xFF, np.uint8)
        data[: array.nbytes] = array.reshape(-1).view(np.uint8)
        flags, pointer = c_void_p(_READ_WRITE | _COPY_HOST_POINTER), c_void_p(data.ctypes.data)
        return self._create("clCreateBuffer", self._context, flags, c_size_t(data.nbytes), pointer)

    def _download(self, buffer: c_void_p, array: NDArray) -> None:
        assert array.flags["C_CONTIGUOUS"]
        data = np.empty(array.nbytes + GUARD_BYTES, np.uint8)
        self._check(
            "clEnqueueReadBuffer", self._queue, buffer, 1, c_size_t(0),
            c_size_t(data.nbytes), c_void_p(data.ctypes.data), 0, None, None,
        )  # fmt: skip
        self._check("clReleaseMemObject", buffer)
        assert (data[array.nbytes :] == 0xFF).all(), "wrote beyond a buffer"
        array.reshape(-1).view(np.uint8)[:] = data[: array.nbytes]

    def _create(self, function: str, *arguments: object) -> c_void_p:
        status = c_int()
        created = c_void_p(getattr(self._cl, function)(*arguments, byref(status)))
        assert status.value == 0, f"{function} gave {status.value}"
        return created

    def _check(self, function: str, *arguments: object) -> None:
        status = getattr(self._cl, function)(*arguments)
        assert status == 0, f"{function} gave {status}"


@cache
def find_driver(name: str) -> OpenClDriver | None:
    """Return the driver of a platform, or None where OpenCL does not list it."""
    for platform in _platforms():
        if name == _platform_name(platform):
            return OpenClDriver(platform)
    return None


def _platforms() -> list[c_void_p]:
    library = _library()
    found, count = (c_void_p * 16)(), c_uint()
    if library is None or library.clGetPlatformIDs(16, found, byref(count)):
        return []
    return [c_void_p(each) for each in found[: count.value]]


def _platform_name(platform: c_void_p) -> str:
    name = ctypes.create_string_buffer(256)
    _library().clGetPlatformInfo(platform, _PLATFORM_NAME, c_size_t(len(name)), name, None)
    return name.value.decode()


@cache
def _library() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("libOpenCL.so.1")
    except OSError:
        return None
    for function in ("Context", "CommandQueue", "Buffer", "Kernel", "ProgramWithSource"):
        getattr(library, f"clCreate{function}").restype = c_void_p
    library.clGetPlatformIDs.argtypes = [c_uint, POINTER(c_void_p), POINTER(c_uint)]
    return library
