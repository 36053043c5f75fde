"""The Relax passes that turn a segment into a sequence of calls, and code generation."""

import os
from pathlib import Path

import tvm
from tvm import relax

from ossc.compiler.lowering.kernels.kernel import Kernel
from ossc.targets import Target


def legalize_and_fuse(module: tvm.IRModule, target: Target) -> tvm.IRModule:
    """Turn Relax operators into TIR functions, and fuse those that follow each other.

    Kernels of ours are opaque to fusion; what remains is the arithmetic around them. A reshape
    stays as it is: the plan makes it another view of the same buffer.
    """
    passes = tvm.transform.Sequential(
        [
            relax.transform.LegalizeOps(skip_ops=["relax.reshape"]),
            relax.transform.AnnotateTIROpPattern(),
            relax.transform.FoldConstant(),
            relax.transform.FuseOps(fuse_opt_level=2),
            relax.transform.FuseTIR(),
            relax.transform.DeadCodeElimination(),
        ]
    )
    with tvm_target(target):
        return passes(module)


def tvm_target(target: Target) -> tvm.target.Target:
    """Return TVM's description of the target."""
    return tvm.target.Target(dict(target.tvm_target))


def write_object(
    kernels: dict[str, Kernel],
    generated: dict[str, tvm.tirx.PrimFunc],
    target: Target,
    path: Path,
) -> None:
    """Compile every function into one object file.

    Args:
        kernels: Ours, by symbol.
        generated: Relax's, by symbol.
        target: What to compile for.
        path: The object file; its bytes depend only on the functions and the target.

    Raises:
        OSError: The file cannot be written.
    """
    functions = {name: kernel.func for name, kernel in sorted(kernels.items())}
    functions.update(sorted(generated.items()))
    module = tvm.IRModule(
        {
            tvm.ir.GlobalVar(name): function.with_attr("global_symbol", name)
            for name, function in functions.items()
        }
    )
    executable = tvm.compile(module, target=tvm_target(target))
    path.write_bytes(_object_bytes(executable))


def _object_bytes(executable: tvm.runtime.Executable) -> bytes:
    """Take the object file by way of memory: on a full disk, LLVM would end the process."""
    with os.fdopen(os.memfd_create("kernels"), "rb") as memory:
        executable.mod.write_to_file(f"/proc/self/fd/{memory.fileno()}", "o")
        return memory.read()
