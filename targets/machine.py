"""What the machine at hand is: its architecture and the features of its CPU."""

import platform
import re
from dataclasses import dataclass
from pathlib import Path

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
    flags = _FLAGS.search(text)
    features = frozenset(flags[1].split()) if flags else frozenset[str]()
    return Machine(arch=platform.machine(), cpu_features=features)
