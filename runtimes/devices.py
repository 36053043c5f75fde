"""What a bundle can run on: the devices of this machine that its library has code for."""

import ctypes
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ossc.runtimes.arguments import directory_path
from ossc.runtimes.bundle import LIBRARY_NAME, Bundle
from ossc.runtimes.device_description import DeviceDescription
from ossc.runtimes.library import DeviceStruct, Library
from ossc.runtimes.machine_check import check_machine
from ossc.targets.errors import BundleError, SessionError
from ossc.targets.machine import this_machine


@dataclass(frozen=True, kw_only=True)
class DeviceInfo(DeviceDescription):
    """A device of the list that a bundle can run on."""

    is_default: bool
    """Whether it is taken where only its kind is asked for."""

    def __str__(self) -> str:
        """The lines that ``ossc run --list-devices`` prints."""
        default = " (default)" if self.is_default else ""
        driver = f" / driver {self.driver}" if self.driver else ""
        shared = ", shared with the host" if self.shares_memory else ""
        return (
            f"{self.kind}:{self.index}  {self.type}{default}\n"
            f"  {self.platform} / {self.name}{driver}\n"
            f"  {self.memory_bytes / 1e9:.1f} GB of memory{shared}"
        )


def list_devices(bundle: str | os.PathLike[str]) -> tuple[DeviceInfo, ...]:
    """Return what a bundle can run on here.

    Raises:
        BundleError: The bundle is damaged, incomplete or of another version.
        SessionError: This machine cannot run it, or has no driver for its kind of device.
    """
    library = load_library(Bundle.open(directory_path("bundle", bundle)))
    count = ctypes.c_size_t()
    library.call("ossc_list_devices", None, 0, ctypes.byref(count))
    structs = (DeviceStruct * count.value)()
    library.call("ossc_list_devices", structs, len(structs), ctypes.byref(count))
    return tuple(_info(struct) for struct in structs[: count.value])


def to_json(devices: Iterable[DeviceInfo]) -> str:
    """The line that ``ossc run --list-devices --format json`` prints."""
    return json.dumps({"devices": [asdict(each) for each in devices]}, ensure_ascii=False)


def device_name(device: object) -> bytes:
    """Return the name of a device as the runtime takes it.

    Raises:
        SessionError: It is no text, is empty, or holds what no name does.
    """
    if isinstance(device, str) and device and device.isprintable():
        return device.encode()
    raise SessionError(
        f"device is {device!r}; it has to be KIND or KIND:WHICH, such as opencl:0, or None."
    )


def load_library(bundle: Bundle) -> Library:
    """Load the runtime of a bundle.

    Raises:
        BundleError: It has none, or one of another version.
        SessionError: This machine cannot run it.
    """
    check_machine(bundle.manifest.target, this_machine())
    path: Path = bundle.path / LIBRARY_NAME
    if LIBRARY_NAME not in bundle.manifest.files:
        raise BundleError(f"{bundle.path} has no {LIBRARY_NAME}; compile the model again.")
    return Library(path)


def _info(struct: DeviceStruct) -> DeviceInfo:
    texts = ("kind", "platform", "name", "type", "driver")
    return DeviceInfo(
        **{name: getattr(struct, name).decode(errors="replace") for name in texts},
        index=struct.index,
        memory_bytes=struct.memory_bytes,
        shares_memory=struct.shares_memory,
        is_default=struct.is_default,
    )
