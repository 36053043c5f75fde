"""Devices that OpenCL reaches, on Linux with glibc, by the CPU that the runtime runs on."""

from dataclasses import dataclass
from typing import ClassVar

from ossc.targets.cpu_aarch64 import TARGETS as ARM_CPUS
from ossc.targets.target import Device, Host, Target


@dataclass(frozen=True, kw_only=True)
class OpenClDevice(Device):
    """Any device with OpenCL 1.2: what a bundle needs of it follows from its plan."""

    loads_drivers: ClassVar[bool] = True

    shard_bytes: ClassVar[int | None] = 1 << 30
    """The largest allocation of the phones' GPUs is about as large."""

    float_activations: ClassVar[bool] = True

    weights_memory: ClassVar[tuple[str, str]] = (
        "device RAM",
        "the host's where the device shares it",
    )


_X86_64 = Host(
    arch="x86_64",
    cpu_features=(),
    tvm_target={"kind": "llvm", "mtriple": "x86_64-linux-gnu"},
    zig_static="x86_64-linux-musl",
    zig_shared="x86_64-linux-gnu.2.17",
    kernel_isa="portable",
)

TARGETS = (
    Target(
        name="opencl",
        summary="OpenCL 1.2 devices of x86-64 machines, tried on the CPU drivers PoCL and rusticl",
        kind="opencl",
        verified="emulated",
        prefill_chunk=512,
        alignment_bytes=512,
        host=_X86_64,
        device=OpenClDevice(),
    ),
    Target(
        name="opencl:aarch64",
        summary="OpenCL 1.2 devices of 64-bit Arm machines with Linux and glibc",
        kind="opencl",
        verified="compiled",
        prefill_chunk=512,
        alignment_bytes=512,
        host=ARM_CPUS[0].host,
        device=OpenClDevice(),
    ),
)
