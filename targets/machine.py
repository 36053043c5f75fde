"""What the machine at hand is: its architecture and the features of its CPU."""

import platform
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_ISA = re.compile(r"^isa\s*:\s*rv64([a-z]+)", re.MULTILINE)
"""The extensions of one letter, on RISC-V, where the others follow with underscores."""

_ARCHITECTURES = {"armv8l": "armv7l"}
"""A 64-bit kernel's name of the architecture, in a 32-bit world → that of 32-bit kernels."""

_FLAGS = re.compile(r"^(?:flags|Features)\s*:(.*)$", re.MULTILINE)
"""The line of /proc/cpuinfo that lists the features, on x86 and on Arm."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine as far as choosing a target needs it."""

    arch: str
    """As in ``platform.machine()``."""

    cpu_features: frozenset[str]
    """Flags of /proc/cpuinfo; empty where that does not exist."""


def this_machine(cpuinfo: Path = Path("/proc/cpuinfo")) -> Machine:
    """Describe the machine that this process runs on."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    machine = platform.machine()
    return Machine(
        arch=_ARCHITECTURES.get(machine, machine), cpu_features=frozenset(_features(text))
    )


def _features(cpuinfo: str) -> Iterable[str]:
    if flags := _FLAGS.search(cpuinfo):
        return flags[1].split()
    isa = _ISA.search(cpuinfo)
    return isa[1] if isa else ()
