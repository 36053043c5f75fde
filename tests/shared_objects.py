"""Object code of kernels: each is generated once per test run, whichever worker asks first."""

import hashlib
from pathlib import Path

import tvm
import tvm_ffi

from once import once
from ossc.compiler.backends.cpu.backend import CpuBackend
from ossc.compiler.backends.cpu.objects import generate_object


class SharedObjects:
    """Takes the place of `generate_object`.

    A bundle that is made with it has the bytes of any other: test_same_bytes.py compares it with
    one that ossc makes in a process of its own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(
        self, symbol: str, function: tvm.tirx.PrimFunc, target: tvm.target.Target
    ) -> bytes:
        """Return the object; where another thread or process is at it, wait for that."""

        def generate(file: Path) -> None:
            file.write_bytes(generate_object(symbol, function, target))

        return once(self._folder / _digest(symbol, function, target), generate).read_bytes()


def shared_backend(folder: Path) -> CpuBackend:
    """Return a backend that shares its objects with all that were made for the same folder."""
    return CpuBackend(generate=SharedObjects(folder))


def _digest(symbol: str, function: tvm.tirx.PrimFunc, target: tvm.target.Target) -> str:
    """Name all that an object's bytes depend on: messages hold the names of the parameters."""
    parameters = [parameter.name for parameter in function.params]
    content = (symbol, parameters, tvm_ffi.structural_hash(function), str(target))
    return hashlib.sha256(repr(content).encode()).hexdigest()
