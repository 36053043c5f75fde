"""The OpenCL drivers that tests run on, both for CPUs; ``scripts/install-packages`` has them."""

import ctypes
from dataclasses import dataclass
from pathlib import Path

import pytest

VENDORS = Path("/etc/OpenCL/vendors")
"""Where drivers register with the loader."""


@dataclass(frozen=True, kw_only=True)
class Driver:
    """A driver with a device."""

    name: str
    """Of its file among the vendors'."""
    package: str
    """Of Debian."""
    platform: str
    """As it calls itself."""

    @property
    def device(self) -> str:
        """What ``--device`` takes."""
        return f"opencl:{self.platform}"

    @property
    def environment(self) -> dict[str, str]:
        """Lets a program see this driver alone, where a CPU counts as a device."""
        file = VENDORS / f"{self.name}.icd"
        return {"OCL_ICD_VENDORS": str(file), "RUSTICL_ENABLE": "llvmpipe"}


DRIVERS = {
    each.name: each
    for each in (
        Driver(name="pocl", package="pocl-opencl-icd", platform="Portable Computing Language"),
        Driver(name="rusticl", package="mesa-opencl-icd", platform="rusticl"),
    )
}


def installed_driver(name: str) -> Driver:
    """Return the driver; a test that asks for one that is not installed is skipped."""
    driver = DRIVERS[name]
    try:
        ctypes.CDLL("libOpenCL.so.1")
        registered = (VENDORS / f"{name}.icd").exists()
    except OSError:
        registered = False
    if not registered:
        pytest.skip(f"the OpenCL driver {driver.package} is not installed")
    return driver
