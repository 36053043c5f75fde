"""The model of ``tiny_plan`` for a CUDA device: its kernels are those of the tests' driver."""

import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ossc.runtimes.manifest import DriverEntry, HostEntry, TargetEntry
from ossc.runtimes.plan import Device, DeviceKernel, Plan, Segment
from synthetic import opencl_plan
from synthetic.opencl_plan import make_opencl_plan
from synthetic.tiny_bundle import write_bundle
from synthetic.tiny_plan import CHUNK, SESSION_MEMORY, make_manifest

CODE, PTX = "kernels.cubin", "kernels.ptx"

CUBIN_TEXT = "fake cubin sm_87\n"
PTX_TEXT = ".version 8.8\n.target sm_87\n.address_size 64\n"
"""What ``runtimes/c/test/fake_cuda.c`` takes for machine code, and for PTX."""

MEMORY = make_manifest({}).memory


def in_cubin(segment: Segment) -> Segment:
    """The segment, with its kernels in `CODE`."""
    steps = tuple(
        replace(step, code=CODE) if isinstance(step, DeviceKernel) else step
        for step in segment.steps
    )
    return replace(segment, steps=steps)


def body(name: str, max_tokens: int) -> Segment:
    """See ``opencl_plan``."""
    return in_cubin(opencl_plan.body(name, max_tokens))


def head(max_tokens: int) -> Segment:
    """See ``opencl_plan``."""
    return in_cubin(opencl_plan.head(max_tokens))


def make_cuda_plan(**changes: Any) -> Plan:
    """The plan, with fields replaced."""
    fields: dict[str, Any] = {
        "devices": (Device(kind="cuda"),),
        "segments": (body("decode", 1), body("prefill", CHUNK), head(1), head(16)),
    }
    return make_opencl_plan(**(fields | changes))


def write_cuda_bundle(
    directory: Path,
    binaries: Sequence[Path] = (),
    *,
    plan: Plan | None = None,
    cubin: str = CUBIN_TEXT,
    ptx: str = PTX_TEXT,
) -> Path:
    """Write the bundle.

    Args:
        directory: Its folder.
        binaries: Programs that it holds.
        plan: By default that of `make_cuda_plan`.
        cubin: The content of its machine code.
        ptx: The content of its PTX.
    """
    plan = plan or make_cuda_plan()
    session = replace(SESSION_MEMORY, state_bytes=plan.state_bytes, arena_bytes=plan.arena_bytes)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / CODE).write_text(cubin, encoding="utf-8")
    (directory / PTX).write_text(ptx, encoding="utf-8")
    target = TargetEntry(
        name="cuda:test",
        kind="cuda",
        host=HostEntry(arch=platform.machine(), cpu_features=()),
        device=DriverEntry(host_glibc="2.17"),
    )
    memory = replace(MEMORY, weights_bytes=plan.weights_bytes, kv={"f32": session})
    return write_bundle(directory, binaries, plan=plan.to_bytes(), target=target, memory=memory)
