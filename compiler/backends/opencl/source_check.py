"""Checking OpenCL C without a driver, with the clang in zig: a user's driver compiles it later.

It is checked as a GPU's driver reads it, and as those do that compile for CPUs: functions may have
other bodies there.
"""

from pathlib import Path

from ossc.compiler.backends.zig import zig_clang

HEADERS = Path(__file__).parent / "headers"

_OPTIONS = (
    "-x",
    "cl",
    "-cl-std=CL1.2",
    "-fsyntax-only",
    "-Wall",
    "-Wno-unused-variable",
    "-Wno-unused-function",  # of lookups.cl
    "-Werror",
)


_TARGETS = (
    ("spir64",),
    ("x86_64-linux-gnu",),
    ("x86_64-linux-gnu", "-mavx512f"),
    ("aarch64-linux-gnu",),
)
"""For which it is compiled: a GPU, and CPUs."""


def check_source(path: Path) -> None:
    """Make sure that a file is OpenCL C 1.2.

    Raises:
        ToolchainError: It is not, or zig is not installed.
    """
    for target in _TARGETS:
        options = [*_OPTIONS, "-target", *target, f"-I{HEADERS}"]
        zig_clang([*options, str(path)], path.name)
