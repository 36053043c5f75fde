"""Instruction sets beyond a target's own: kernels are also built for them, the runtime chooses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Verified = Literal["device", "emulated", "compiled"]
"""How far code was ever run: never claim more."""


@dataclass(frozen=True, kw_only=True)
class InstructionSet:
    """Instructions that some machines of a target have; its fields are those of `Host`."""

    name: Literal["avx512_vnni", "avx_vnni"]
    """Which kernel bodies are taken."""

    summary: str
    """One line for ``ossc targets``."""

    tvm_target: Mapping[str, Any]

    cpu_features: tuple[str, ...]
    """Flags of /proc/cpuinfo that a machine needs besides those of the target."""

    verified: Verified

    integers_only: bool = False
    """Whether products of float32 gain nothing from it."""
