"""Object files of kernels: for the target, and for each of its further instruction sets."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import tvm

from ossc.compiler.backends.cpu.codegen import generate_code
from ossc.compiler.backends.cpu.signature import Signature, signature_of
from ossc.compiler.lowering.kernel import Kernel
from ossc.compiler.lowering.legalize import tvm_target
from ossc.targets import Target
from ossc.targets.instruction_set import InstructionSet

GenerateObject = Callable[[str, tvm.tirx.PrimFunc, tvm.target.Target], bytes]
"""Gives the object file of one function, by its C symbol; called from several threads."""


@dataclass(frozen=True, kw_only=True)
class KernelObjects:
    """Object files of kernels that run on the same machines, one a kernel."""

    paths: tuple[Path, ...]

    symbols: dict[str, str]
    """The name in the plan → the C symbol, without the prefix of TVM's calling convention."""

    signatures: dict[str, Signature]
    """The name in the plan → what the function takes."""

    needs: InstructionSet | None = None
    """What a machine must have besides what the target promises."""


@dataclass(frozen=True, kw_only=True)
class _Functions:
    """What becomes `KernelObjects`."""

    by_name: dict[str, tvm.tirx.PrimFunc]
    target: tvm.target.Target
    needs: InstructionSet | None = None

    def symbol(self, name: str) -> str:
        """Return the C symbol of what the plan calls by a name."""
        return f"{name}__{self.needs.name}" if self.needs else name


def generate_object(symbol: str, function: tvm.tirx.PrimFunc, target: tvm.target.Target) -> bytes:
    """Compile a function; the bytes depend only on the arguments."""
    module = generate_code({symbol: function}, target)
    # by way of memory: on a full disk, LLVM would end the process
    with os.fdopen(os.memfd_create("kernel"), "rb") as memory:
        module.write_to_file(f"/proc/self/fd/{memory.fileno()}", "o")
        return memory.read()


def write_objects(
    kernels: dict[str, Kernel],
    generated: dict[str, tvm.tirx.PrimFunc],
    target: Target,
    folder: Path,
    generate: GenerateObject = generate_object,
) -> list[KernelObjects]:
    """Compile every function, and the hot ones once more for each of the target's instruction sets.

    All CPUs that this process may use work on it, one function each.

    Args:
        kernels: Ours, by symbol.
        generated: Relax's, by symbol.
        target: What to compile for.
        folder: Where the object files go.
        generate: Compiles one function.

    Raises:
        OSError: A file cannot be written.
    """
    groups = list(_groups(kernels, generated, target))
    jobs = [
        (group.symbol(name), function, group.target)
        for group in groups
        for name, function in group.by_name.items()
    ]
    threads = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    try:
        objects = threads.map(lambda job: generate(*job), jobs)
        paths = iter([_write(folder / f"kernel{i}.o", data) for i, data in enumerate(objects)])
    finally:  # after an interruption, or on a full disk, the other functions are not begun
        threads.shutdown(cancel_futures=True)
    return [
        KernelObjects(
            paths=tuple(next(paths) for _ in group.by_name),
            symbols={name: group.symbol(name) for name in group.by_name},
            signatures={name: signature_of(each) for name, each in group.by_name.items()},
            needs=group.needs,
        )
        for group in groups
    ]


def _groups(
    kernels: dict[str, Kernel], generated: dict[str, tvm.tirx.PrimFunc], target: Target
) -> Iterable[_Functions]:
    """Sort what is to be compiled by the machines that will run it, the target's own first."""
    functions = {name: kernel.func for name, kernel in sorted(kernels.items())}
    functions.update(sorted(generated.items()))
    yield _Functions(by_name=functions, target=tvm_target(target))
    for instruction_set in target.host.instruction_sets:
        if variants := _variants(kernels, instruction_set):
            yield _Functions(
                by_name=variants,
                target=tvm.target.Target(dict(instruction_set.tvm_target)),
                needs=instruction_set,
            )


def _variants(
    kernels: dict[str, Kernel], instruction_set: InstructionSet
) -> dict[str, tvm.tirx.PrimFunc]:
    """Build the kernels that have bodies of their own for an instruction set."""
    return {
        name: kernel.for_isa(instruction_set.name).func
        for name, kernel in sorted(kernels.items())
        if kernel.for_isa
        and not (instruction_set.integers_only and kernel.cost.arithmetic == "f32")
    }


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
