"""Looking into machine code for NVIDIA's GPUs, with NVIDIA's tools from PyPI."""

import re
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

_USAGE = re.compile(r"Function (\w+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")
_SECTION = re.compile(r"^\.text\.(\w+):$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a work-item of a kernel takes, and a group."""

    registers: int
    stack_bytes: int
    shared_bytes: int
    local_bytes: int


def require_nvrtc() -> None:
    """Skip where the compiler is not installed."""
    if not _is_installed("nvidia.cuda_nvrtc"):
        pytest.skip('NVRTC is not installed (pip install "ossc[cuda]")')


def read_usage(cubin: Path) -> dict[str, Usage]:
    """Return what each kernel of a file takes."""
    said = _run("cuobjdump", "--dump-resource-usage", cubin)
    return {
        name: Usage(
            registers=int(registers),
            stack_bytes=int(stack),
            shared_bytes=int(shared),
            local_bytes=int(local),
        )
        for name, registers, stack, shared, local in _USAGE.findall(said)
    }


def read_instructions(cubin: Path) -> dict[str, set[str]]:
    """Return the instructions of each kernel of a file, such as ``LDG.E.CONSTANT``."""
    _, *parts = _SECTION.split(_run("nvdisasm", "-c", cubin))
    names, texts = parts[::2], parts[1::2]
    return {
        name: set(re.findall(r"^\s+/\*\w+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)", text, re.MULTILINE))
        for name, text in zip(names, texts, strict=True)
    }


def _run(tool: str, *arguments: object) -> str:
    if not _is_installed("nvidia.cu13"):
        pytest.skip(f"{tool} is not installed (pip install nvidia-cuda-{tool})")
    (folder,) = find_spec("nvidia.cu13").submodule_search_locations
    path = Path(folder, "bin", tool)
    if not path.exists():
        pytest.skip(f"{tool} is not installed (pip install nvidia-cuda-{tool})")
    command = [str(path), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
