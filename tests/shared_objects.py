"""Object code of kernels: each is generated once per test run, whichever worker asks first."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import tvm
import tvm_ffi

from once import once
from ossc.compiler.backends.cpu import backend
from ossc.compiler.backends.cpu.backend import CpuBackend
from ossc.compiler.backends.cpu.objects import generate_object
from ossc.compiler.lowering.lower import LoweredModel
from ossc.runtimes.kv_type import KV_TYPES, KvType
from ossc.targets import Target


class SharedObjects:
    """Takes the place of `generate_object`.

    A bundle that is made with it has the bytes of any other: test_same_bytes.py compares it with
    one that ossc makes in a process of its own, and test_objects.py objects with each other.
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


class MostlySharedObjects(SharedObjects):
    """Takes the place of `generate_object`, and generates every eighth object once more."""

    def __call__(
        self, symbol: str, function: tvm.tirx.PrimFunc, target: tvm.target.Target
    ) -> bytes:
        """Return the object, whether it was generated or read."""
        if int(_digest(symbol, function, target), base=16) % 8 == 0:
            return generate_object(symbol, function, target)
        return super().__call__(symbol, function, target)


def generate_few_objects(folder: Path) -> None:
    """From now on ``ossc compile`` takes most objects for CPUs from a folder of shared ones."""
    backend.BACKEND = CpuBackend(generate=MostlySharedObjects(folder))


@dataclass(frozen=True, kw_only=True)
class SharedBackend(CpuBackend):
    """A backend that links only the kernels of some types of KV caches.

    Two of three attention kernels are for types that most tests never ask for. The plans of those
    types are in a bundle all the same; a session for one of them is refused.
    """

    kv_types: tuple[KvType, ...] = KV_TYPES

    def emit(self, lowered: LoweredModel, target: Target, folder: Path, scratch: Path) -> None:
        """See `Backend`."""
        super().emit(kernels_of(lowered, self.kv_types), target, folder, scratch)


def shared_backend(folder: Path, kv_types: tuple[KvType, ...] = KV_TYPES) -> SharedBackend:
    """Return a backend that shares its objects with all that were made for the same folder."""
    return SharedBackend(generate=SharedObjects(folder), kv_types=kv_types)


def kernels_of(lowered: LoweredModel, kv_types: tuple[KvType, ...]) -> LoweredModel:
    """Leave out the kernels that only plans for other types of KV caches call."""
    called = {
        step.kernel
        for kv in kv_types
        for segment in lowered.plans[kv].segments
        for step in segment.steps
    }
    return replace(
        lowered,
        kernels={name: each for name, each in lowered.kernels.items() if name in called},
        generated={name: each for name, each in lowered.generated.items() if name in called},
    )


def _digest(symbol: str, function: tvm.tirx.PrimFunc, target: tvm.target.Target) -> str:
    """Name all that an object's bytes depend on: messages hold the names of the parameters."""
    parameters = [parameter.name for parameter in function.params]
    content = (symbol, parameters, tvm_ffi.structural_hash(function), str(target))
    return hashlib.sha256(repr(content).encode()).hexdigest()
