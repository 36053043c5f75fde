"""CPUs: kernels become object files, linked with the runtime into a program and a library."""

from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from ossc.compiler.backends.backend import Backend
from ossc.compiler.backends.cpu.objects import GenerateObject, generate_object, write_objects
from ossc.compiler.backends.cpu.operations import OPERATIONS
from ossc.compiler.backends.cpu.toolchain import link_kernels
from ossc.compiler.backends.runtime_link import prepare_linker
from ossc.compiler.lowering.lower import LoweredModel, lower_model
from ossc.compiler.lowering.segment import LoweringOptions
from ossc.compiler.progress import Reporter
from ossc.targets import Target


@dataclass(frozen=True, kw_only=True)
class CpuBackend:
    """TVM's code generator for LLVM, and zig."""

    kind: str = "cpu"

    generate: GenerateObject = generate_object
    """Compiles one function."""

    def prepare(self, target: Target, progress: Reporter) -> None:
        """Try the linker, and build what it builds once for a target; see `Backend`."""
        prepare_linker(target, progress)

    def lower(self, model: ir.Model, options: LoweringOptions) -> LoweredModel:
        """See `Backend`."""
        return lower_model(model, options, OPERATIONS)

    def emit(self, lowered: LoweredModel, target: Target, folder: Path, scratch: Path) -> None:
        """Write ``ossc-run`` and ``libossc_model.so``; see `Backend`."""
        objects = write_objects(lowered.kernels, lowered.generated, target, scratch, self.generate)
        link_kernels(target, objects, folder)


BACKEND: Backend = CpuBackend()
