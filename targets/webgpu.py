"""Browsers with WebGPU, on any machine."""

from dataclasses import dataclass
from typing import ClassVar

from ossc.targets.target import Device, Host, Target


@dataclass(frozen=True, kw_only=True)
class WebGpuDevice(Device):
    """What a browser reaches with WebGPU: what a bundle needs of it follows from its plan."""

    shard_bytes: ClassVar[int | None] = 128 << 20
    """What every browser binds as one tensor, and holds beside the device's copy as it loads."""

    float_activations: ClassVar[bool] = True

    weights_memory: ClassVar[tuple[str, str]] = (
        "download",
        "kept in the GPU's memory while the page is open",
    )

    in_browser: ClassVar[bool] = True


TARGETS = (
    Target(
        name="webgpu",
        summary="Browsers with WebGPU, tried in Chromium on the CPU (SwiftShader)",
        kind="webgpu",
        verified="emulated",
        prefill_chunk=512,
        alignment_bytes=512,
        host=Host(
            arch="browser",
            cpu_features=(),
            tvm_target={"kind": "llvm"},
            zig_static="",
            zig_shared="",
            kernel_isa="portable",
        ),
        device=WebGpuDevice(),
    ),
)
