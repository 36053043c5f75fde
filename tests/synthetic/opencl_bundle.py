"""A bundle of the plan in ``opencl_plan`` and its kernels, made without our compiler."""

import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ossc.runtimes.manifest import DriverEntry, HostEntry, TargetEntry
from ossc.runtimes.plan import Plan
from synthetic.opencl_plan import CODE, KERNELS, make_opencl_plan
from synthetic.tiny_bundle import write_bundle
from synthetic.tiny_plan import SESSION_MEMORY, make_manifest

MEMORY = make_manifest({}).memory


def write_opencl_bundle(
    directory: Path,
    binaries: Sequence[Path] = (),
    *,
    plan: Plan | None = None,
    kernels: str = KERNELS,
    files: dict[str, bytes] | None = None,
) -> Path:
    """Write the bundle.

    Args:
        directory: Its folder.
        binaries: Programs that it holds.
        plan: By default that of `make_opencl_plan`.
        kernels: The content of its file of code.
        files: Of its weights, by name; see `write_bundle`.
    """
    plan = plan or make_opencl_plan()
    session = replace(SESSION_MEMORY, state_bytes=plan.state_bytes, arena_bytes=plan.arena_bytes)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / CODE).write_text(kernels, encoding="utf-8")
    target = TargetEntry(
        name="opencl:test",
        kind="opencl",
        host=HostEntry(arch=platform.machine(), cpu_features=()),
        device=DriverEntry(host_glibc="2.17"),
    )
    memory = replace(MEMORY, weights_bytes=plan.weights_bytes, kv={"f32": session})
    return write_bundle(
        directory, binaries, plan=plan.to_bytes(), files=files, target=target, memory=memory
    )
