"""OpenCL: kernels become OpenCL C, which the device's driver compiles when a bundle is opened."""

from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from ossc.compiler.backends.backend import Backend
from ossc.compiler.backends.gpu.operations import OPERATIONS
from ossc.compiler.backends.opencl.source_check import check_source
from ossc.compiler.backends.opencl.vector_bodies import OpenClCalls
from ossc.compiler.backends.runtime_link import link_runtime, prepare_linker
from ossc.compiler.lowering.lower import LoweredModel, lower_model
from ossc.compiler.lowering.segment import LoweringOptions
from ossc.compiler.progress import Reporter
from ossc.targets import Target


@dataclass(frozen=True, kw_only=True)
class OpenClBackend:
    """TVM's code generator for OpenCL C, and zig for the runtime and to check the code."""

    kind: str = "opencl"

    def prepare(self, target: Target, progress: Reporter) -> None:
        """Try the linker, and build what it builds once for a target; see `Backend`."""
        prepare_linker(target, progress)

    def lower(self, model: ir.Model, options: LoweringOptions) -> LoweredModel:
        """Generate the code as well: a step names its function, and what it takes."""
        return lower_model(model, options, OPERATIONS, OpenClCalls())

    def emit(self, lowered: LoweredModel, target: Target, folder: Path, scratch: Path) -> None:
        """Write the files of code, ``ossc-run`` and ``libossc_model.so``; see `Backend`."""
        for name, text in lowered.code.items():
            (folder / name).write_text(text, encoding="utf-8")
            check_source(folder / name)
        link_runtime(target, [], folder, scratch)


BACKEND: Backend = OpenClBackend()
