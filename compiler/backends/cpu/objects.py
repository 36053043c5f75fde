"""Object files of kernels: for the target, and for each of its further instruction sets."""

import os
from dataclasses import dataclass
from pathlib import Path

import tvm

from ossc.compiler.backends.cpu.codegen import generate_code
from ossc.compiler.lowering.kernel import Kernel
from ossc.compiler.lowering.legalize import tvm_target
from ossc.targets import Target
from ossc.targets.instruction_set import InstructionSet


@dataclass(frozen=True, kw_only=True)
class KernelObject:
    """An object file of kernels."""

    path: Path

    symbols: dict[str, str]
    """The name in the plan → the C symbol, without the prefix of TVM's calling convention."""

    needs: InstructionSet | None = None
    """What a machine must have besides what the target promises."""


def write_objects(
    kernels: dict[str, Kernel],
    generated: dict[str, tvm.tirx.PrimFunc],
    target: Target,
    folder: Path,
) -> list[KernelObject]:
    """Compile every function, and the hot ones once more for each of the target's instruction sets.

    Args:
        kernels: Ours, by symbol.
        generated: Relax's, by symbol.
        target: What to compile for.
        folder: Where the object files go; their bytes depend only on the functions and the target.

    Raises:
        OSError: A file cannot be written.
    """
    functions = {name: kernel.func for name, kernel in sorted(kernels.items())}
    functions.update(sorted(generated.items()))
    base = folder / "kernels.o"
    _write_object(functions, tvm_target(target), base)
    objects = [KernelObject(path=base, symbols={name: name for name in functions})]
    for instruction_set in target.host.instruction_sets:
        variants = _variants(kernels, instruction_set)
        if not variants:
            continue
        symbols = {name: f"{name}__{instruction_set.name}" for name in variants}
        path = folder / f"kernels_{instruction_set.name}.o"
        named = {symbols[name]: kernel.func for name, kernel in variants.items()}
        _write_object(named, tvm.target.Target(dict(instruction_set.tvm_target)), path)
        objects.append(KernelObject(path=path, symbols=symbols, needs=instruction_set))
    return objects


def _variants(kernels: dict[str, Kernel], instruction_set: InstructionSet) -> dict[str, Kernel]:
    """Build the kernels that have bodies of their own for an instruction set."""
    return {
        name: kernel.for_isa(instruction_set.name)
        for name, kernel in sorted(kernels.items())
        if kernel.for_isa
        and not (instruction_set.integers_only and kernel.cost.arithmetic == "f32")
    }


def _write_object(
    functions: dict[str, tvm.tirx.PrimFunc], target: tvm.target.Target, path: Path
) -> None:
    path.write_bytes(_object_bytes(generate_code(functions, target)))


def _object_bytes(module: tvm.runtime.Module) -> bytes:
    """Take the object file by way of memory: on a full disk, LLVM would end the process."""
    with os.fdopen(os.memfd_create("kernels"), "rb") as memory:
        module.write_to_file(f"/proc/self/fd/{memory.fileno()}", "o")
        return memory.read()
