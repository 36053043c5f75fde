"""What a driver says of a device, whoever asked it."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DeviceDescription:
    """A device, as its driver describes it."""

    kind: str
    index: int
    platform: str
    """The driver."""
    name: str
    type: str
    """gpu, accelerator, cpu or other."""
    driver: str
    """Its version; may be empty."""
    memory_bytes: int
    shares_memory: bool
    """With the host, so that weights need not be copied."""
