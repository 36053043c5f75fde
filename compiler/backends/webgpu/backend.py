"""WebGPU: kernels become WGSL, and a page with a runtime in JavaScript takes a program's place."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from ossc.compiler.backends.backend import Backend
from ossc.compiler.backends.gpu.operations import OPERATIONS
from ossc.compiler.backends.webgpu.web_calls import WebCalls
from ossc.compiler.lowering.lower import LoweredModel, lower_model
from ossc.compiler.lowering.segment import LoweringOptions
from ossc.compiler.progress import Reporter
from ossc.runtimes.web_page import web_page_files
from ossc.targets import Target


@dataclass(frozen=True, kw_only=True)
class WebGpuBackend:
    """TVM's code generator for WGSL; nothing is linked."""

    kind: str = "webgpu"

    def prepare(self, target: Target, progress: Reporter) -> None:
        """Need nothing; see `Backend`."""
        del target, progress

    def lower(self, model: ir.Model, options: LoweringOptions) -> LoweredModel:
        """Generate the code as well: a step names its function, and what it takes."""
        calls = WebCalls(language="webgpu", suffix="wgsl.json")
        return lower_model(model, options, OPERATIONS, calls)

    def emit(self, lowered: LoweredModel, target: Target, folder: Path, scratch: Path) -> None:
        """Write the files of code, and those of the page; see `Backend`."""
        del target, scratch  # a page is the same for all, and made of nothing
        for name, text in lowered.code.items():
            (folder / name).write_text(text, encoding="utf-8")
        for name, path in web_page_files().items():
            shutil.copyfile(path, folder / name)


BACKEND: Backend = WebGpuBackend()
