"""Checking OpenCL C without a driver, with the clang in zig: a user's driver compiles it later."""

from pathlib import Path

from ossc.compiler.backends.zig import zig_clang

HEADERS = Path(__file__).parent / "headers"

_OPTIONS = (
    "-x",
    "cl",
    "-cl-std=CL1.2",
    "-target",
    "spir64",
    "-fsyntax-only",
    "-Wall",
    "-Wno-unused-variable",
    "-Werror",
)


def check_source(path: Path) -> None:
    """Make sure that a file is OpenCL C 1.2.

    Raises:
        ToolchainError: It is not, or zig is not installed.
    """
    zig_clang([*_OPTIONS, f"-I{HEADERS}", str(path)], path.name)
