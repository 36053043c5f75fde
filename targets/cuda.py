"""NVIDIA's GPUs, on Linux with glibc, by the architecture that machine code is for."""

from dataclasses import dataclass
from typing import ClassVar

from ossc.targets.cpu_aarch64 import TARGETS as ARM_CPUS
from ossc.targets.opencl import TARGETS as OPENCL_DEVICES
from ossc.targets.target import Device, Host, Target

_ARM = ARM_CPUS[0].host
_X86_64 = OPENCL_DEVICES[0].host


@dataclass(frozen=True, kw_only=True)
class CudaDevice(Device):
    """A GPU of one architecture; later ones run what the driver makes of the bundle's PTX."""

    loads_drivers: ClassVar[bool] = True

    float_activations: ClassVar[bool] = True

    weights_memory: ClassVar[tuple[str, str]] = (
        "device RAM",
        "copied to the GPU when a bundle is opened",
    )

    architecture: str
    """As NVIDIA's compilers call it, such as ``sm_87``."""


def _target(architecture: str, machines: str, host: Host) -> Target:
    return Target(
        name=f"cuda:{architecture}",
        summary=machines,
        kind="cuda",
        verified="compiled",
        prefill_chunk=512,
        alignment_bytes=512,
        host=host,
        device=CudaDevice(architecture=architecture),
    )


TARGETS = (
    _target("sm_87", "Jetson Orin: Ampere's GPU in an Arm SoC, whose memory is shared", _ARM),
    _target("sm_89", "GeForce RTX 40, L4 and L40: Ada, in x86-64 machines", _X86_64),
    _target("sm_90", "H100 and H200: Hopper, in x86-64 machines", _X86_64),
    _target("sm_100", "B100 and B200: Blackwell of data centres, in x86-64 machines", _X86_64),
    _target("sm_120", "GeForce RTX 50: Blackwell of graphics cards, in x86-64 machines", _X86_64),
)
"""NVIDIA's GPUs."""
