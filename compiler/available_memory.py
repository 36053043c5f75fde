"""How much memory this process may still take: the machine's, or its container's if that is less.

Linux: ``MemAvailable`` of /proc/meminfo, and the memory controller of control groups 2 and 1.
"""

import re
from pathlib import Path

ROOT = Path("/")

UNLIMITED_BYTES = 1 << 60
"""Control groups 1 write a limit near 2**63 where there is none."""


def available_bytes(root: Path = ROOT) -> int | None:
    """Return the bytes that can be taken without swapping.

    Args:
        root: Where ``proc`` and ``sys`` are.

    Returns:
        None where neither the kernel nor a control group says it.
    """
    machine = _field(root / "proc/meminfo", r"MemAvailable:\s*(\d+) kB")
    known = [machine * 1024] if machine is not None else []
    known += [room for room in (_room_of_v2(root), _room_of_v1(root)) if room is not None]
    return max(0, min(known)) if known else None


def _room_of_v2(root: Path) -> int | None:
    """Return what the group's limit leaves; its page cache is given back when it is needed."""
    group = _group(root, r"^0::(/.*)$")
    folders = [root / "sys/fs/cgroup" / group, root / "sys/fs/cgroup"]
    return _room(folders, limit="memory.max", taken=r"^anon (\d+)$")


def _room_of_v1(root: Path) -> int | None:
    group = _group(root, r"^\d+:(?:[^:\n]*,)?memory(?:,[^:\n]*)?:(/.*)$")
    folders = [root / "sys/fs/cgroup/memory" / group, root / "sys/fs/cgroup/memory"]
    return _room(folders, limit="memory.limit_in_bytes", taken=r"^total_rss (\d+)$")


def _group(root: Path, pattern: str) -> str:
    """Return the group of this process below the hierarchy's root; a container may not show it."""
    found = re.search(pattern, _text(root / "proc/self/cgroup"), re.MULTILINE)
    return found[1].lstrip("/") if found else ""


def _room(folders: list[Path], *, limit: str, taken: str) -> int | None:
    for folder in folders:
        limit_bytes = _field(folder / limit, r"^(\d+)$")
        if limit_bytes is not None and limit_bytes < UNLIMITED_BYTES:
            return limit_bytes - (_field(folder / "memory.stat", taken) or 0)
    return None


def _field(path: Path, pattern: str) -> int | None:
    found = re.search(pattern, _text(path), re.MULTILINE)
    return int(found[1]) if found else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
