"""The machine of a bundle, as its manifest describes it."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ossc.runtimes.strict_json import StrictObject
from ossc.targets.errors import BundleError

_GLIBC = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}")


@dataclass(frozen=True, kw_only=True)
class HostEntry:
    """What the runtime runs on."""

    arch: str
    """As in ``platform.machine()``; ``browser`` where a browser runs the page of the bundle."""
    cpu_features: tuple[str, ...]
    """Flags of /proc/cpuinfo that the machine must have."""
    instruction_sets: tuple[str, ...] = ()
    """For which hot kernels exist as well; the C runtime takes the first that the CPU has."""


@dataclass(frozen=True, kw_only=True)
class CpuEntry:
    """The device of a ``cpu``: nothing that its host does not say."""


@dataclass(frozen=True, kw_only=True)
class DriverEntry:
    """A device behind a driver's library; what it must have follows from the plan."""

    host_glibc: str
    """The oldest glibc, such as ``2.17``, that the program runs with: a static one could not load
    the driver."""


@dataclass(frozen=True, kw_only=True)
class BrowserEntry:
    """A browser with WebGPU; what its adapter must have follows from the plan."""


DeviceEntry = CpuEntry | DriverEntry | BrowserEntry
"""What a manifest says of a device, by its kind."""


@dataclass(frozen=True, kw_only=True)
class TargetEntry:
    """The machine that the bundle was compiled for."""

    name: str
    kind: str = "cpu"
    """Of the device that executes the plan."""
    host: HostEntry
    device: DeviceEntry = CpuEntry()


def read_target(fields: StrictObject) -> TargetEntry:
    """Read ``target``.

    Raises:
        BundleError: It is not valid, or of a kind of device that this version does not know.
    """
    kind = fields.text("kind")
    if kind not in _DEVICES:
        raise BundleError(
            f"The bundle is for a device of the kind {kind[:40]!r}, and this ossc knows "
            f"{', '.join(_DEVICES)}; use the ossc that wrote it, or compile the model again."
        )
    entry = TargetEntry(
        name=fields.text("name"),
        kind=kind,
        host=_host(fields.object("host")),
        device=_DEVICES[kind](fields.object("device")),
    )
    fields.finish()
    return entry


def _host(fields: StrictObject) -> HostEntry:
    entry = HostEntry(
        arch=fields.text("arch"),
        cpu_features=fields.texts("cpu_features"),
        instruction_sets=fields.texts("instruction_sets"),
    )
    fields.finish()
    return entry


def _cpu(fields: StrictObject) -> CpuEntry:
    fields.finish()
    return CpuEntry()


def _driver(fields: StrictObject) -> DriverEntry:
    entry = DriverEntry(host_glibc=fields.text("host_glibc"))
    fields.finish()
    if not _GLIBC.fullmatch(entry.host_glibc):
        raise BundleError(
            f"The manifest's host_glibc is {entry.host_glibc[:40]!r}, which is no version of it; "
            "compile the model again."
        )
    return entry


def _browser(fields: StrictObject) -> BrowserEntry:
    fields.finish()
    return BrowserEntry()


_DEVICES: dict[str, Callable[[StrictObject], DeviceEntry]] = {
    "cpu": _cpu,
    "cuda": _driver,
    "opencl": _driver,
    "webgpu": _browser,
}
