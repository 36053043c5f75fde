"""CUDA: kernels become machine code of one architecture, and PTX for the later ones."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from ossc.compiler.backends.backend import Backend
from ossc.compiler.backends.cuda.grid_limits import check_grids
from ossc.compiler.backends.cuda.headers import HEADERS
from ossc.compiler.backends.cuda.launch_bounds import with_least_groups
from ossc.compiler.backends.cuda.nvrtc import CudaCode, check_nvrtc, compile_cuda
from ossc.compiler.backends.gpu.device_calls import DeviceCalls
from ossc.compiler.backends.gpu.operations import OPERATIONS
from ossc.compiler.backends.runtime_link import link_runtime, prepare_linker
from ossc.compiler.backends.signal_actions import kept_interrupt_action
from ossc.compiler.lowering.lower import LoweredModel, lower_model
from ossc.compiler.lowering.segment import LoweringOptions
from ossc.compiler.progress import Reporter
from ossc.targets import Target
from ossc.targets.cuda import CudaDevice


@dataclass(frozen=True, kw_only=True)
class CudaBackend:
    """TVM's code generator for CUDA, NVRTC, and zig for the runtime."""

    kind: str = "cuda"

    def prepare(self, target: Target, progress: Reporter) -> None:
        """Try NVRTC and the linker, and build what zig builds once for a target; see `Backend`."""
        check_nvrtc(_architecture(target))
        prepare_linker(target, progress)

    def lower(self, model: ir.Model, options: LoweringOptions) -> LoweredModel:
        """Generate the CUDA as well: a step names its function, and what it takes."""
        arch = _architecture(options.target)
        calls = DeviceCalls(language="cuda", suffix="cubin", options={"arch": arch})
        lowered = lower_model(model, options, OPERATIONS, calls)
        for plan in lowered.plans.values():
            check_grids(plan)
        return lowered

    def emit(self, lowered: LoweredModel, target: Target, folder: Path, scratch: Path) -> None:
        """Write the files of code and the runtime; see `Backend`.

        Steps name machine code, ``.cubin``; beside it lies its PTX, named so but for the ending.
        """
        architecture = _architecture(target)

        def compiled(source: str) -> CudaCode:
            return compile_cuda(with_least_groups(source), architecture, HEADERS)

        threads = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
        with kept_interrupt_action(), threads:
            codes = threads.map(compiled, lowered.code.values())
            for name, code in zip(lowered.code, codes, strict=True):
                path = folder / name
                path.write_bytes(code.cubin)
                path.with_suffix(".ptx").write_bytes(code.ptx)
        link_runtime(target, [], folder, scratch)


def _architecture(target: Target) -> str:
    assert isinstance(target.device, CudaDevice), "targets of this kind have such a device"
    return target.device.architecture


BACKEND: Backend = CudaBackend()
