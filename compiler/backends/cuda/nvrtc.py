"""NVIDIA's runtime compiler as a library: CUDA in, machine code and PTX out; it needs no GPU."""

import ctypes
from collections.abc import Callable, Iterable, Mapping
from ctypes import byref, c_char_p, c_int, c_size_t, c_void_p
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from ossc.targets.errors import ToolchainError

_PACKAGE = "nvidia.cuda_nvrtc"
"""Of the wheel nvidia-cuda-nvrtc-cu12."""

_LIBRARY = "libnvrtc.so.12"

_OPTIONS = ("--std=c++17", "-default-device", "--fmad=true")

_LOG_LINES = 3
"""Lines of the compiler's log in an error."""


@dataclass(frozen=True, kw_only=True)
class CudaCode:
    """What became of a program."""

    cubin: bytes
    """Machine code of one architecture, an ELF file."""
    ptx: bytes
    """The same program for the drivers of later architectures; text without a NUL at its end."""


def check_nvrtc(architecture: str) -> None:
    """Make sure that programs can be compiled for an architecture.

    Raises:
        ToolchainError: NVRTC is not installed, does not load, or does not know it.
    """
    library = _library()
    count = c_int()
    _check(library, "nvrtcGetNumSupportedArchs", byref(count))
    numbers = (c_int * count.value)()
    _check(library, "nvrtcGetSupportedArchs", numbers)
    known = [f"sm_{number}" for number in numbers]
    if architecture not in known:
        raise ToolchainError(
            f"The installed NVRTC compiles for {', '.join(known)}, and not for {architecture}; "
            'pip install "ossc[cuda]" brings one that does.'
        )


def compile_cuda(source: str, architecture: str, headers: Mapping[str, str]) -> CudaCode:
    """Compile a program; the result depends only on the arguments and NVRTC's version.

    Args:
        source: CUDA C++.
        architecture: Such as ``sm_87``.
        headers: The texts of what it includes, by name.

    Raises:
        ToolchainError: NVRTC is not installed, or refused the program.
    """
    library = _library()
    program = _create(library, source, headers)
    try:
        _compile(library, program, architecture)
        cubin = _output(library, program, "CUBIN")
        ptx = _output(library, program, "PTX")
    finally:
        library.nvrtcDestroyProgram(byref(program))
    return CudaCode(cubin=cubin, ptx=ptx.rstrip(b"\0"))


def _create(library: ctypes.CDLL, source: str, headers: Mapping[str, str]) -> c_void_p:
    program = c_void_p()
    texts = _strings(headers.values())
    names = _strings(headers)
    _check(
        library, "nvrtcCreateProgram",
        byref(program), source.encode(), b"kernels.cu", len(headers), texts, names,
    )  # fmt: skip
    return program


def _compile(library: ctypes.CDLL, program: c_void_p, architecture: str) -> None:
    options = _strings([f"--gpu-architecture={architecture}", *_OPTIONS])
    status = library.nvrtcCompileProgram(program, len(options), options)
    if status == 0:
        return
    log = _output(library, program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
    raise ToolchainError(
        f"NVRTC could not compile the kernels for {architecture} ({_name(library, status)}): "
        f"{_first_errors(log)}; report it, with the command."
    )


def _first_errors(log: str) -> str:
    """Return the lines of a log that say what is wrong, warnings left out."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line] or lines
    return " | ".join(errors[:_LOG_LINES])


def _output(library: ctypes.CDLL, program: c_void_p, what: str) -> bytes:
    size = c_size_t()
    _check(library, f"nvrtcGet{what}Size", program, byref(size))
    data = ctypes.create_string_buffer(size.value)
    _check(library, f"nvrtcGet{what}", program, data)
    return data.raw


def _check(library: ctypes.CDLL, function: str, *arguments: object) -> None:
    call: Callable[..., int] = getattr(library, function)
    status = call(*arguments)
    if status:
        raise ToolchainError(f"NVRTC's {function} failed with {_name(library, status)}.")


def _name(library: ctypes.CDLL, status: int) -> str:
    name: bytes = library.nvrtcGetErrorString(status)
    return name.decode()


def _strings(values: Iterable[str]) -> "ctypes.Array[c_char_p]":
    encoded = [value.encode() for value in values]
    return (c_char_p * len(encoded))(*encoded)


@cache
def _library() -> ctypes.CDLL:
    path = _find_library()
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise ToolchainError(
            f'{path} does not load ({error}); pip install --force-reinstall "ossc[cuda]".'
        ) from error
    library.nvrtcGetErrorString.restype = c_char_p
    return library


def _find_library() -> Path:
    try:
        spec = find_spec(_PACKAGE)
    except ModuleNotFoundError:
        spec = None
    for folder in (spec and spec.submodule_search_locations) or ():
        path = Path(folder, "lib", _LIBRARY)
        if path.is_file():
            return path
    raise ToolchainError(
        'Compiling for CUDA needs NVRTC, which is not installed; pip install "ossc[cuda]".'
    )
