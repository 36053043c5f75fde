"""Runs zig's C compiler and linker (PyPI ``ziglang``), with a cache folder that was tried.

zig keeps there what it builds once for each target: a C library, about 40 MB, in a minute or two.
The folder is ``ZIG_GLOBAL_CACHE_DIR``, or ``zig`` in the user's cache folder. It is resolved and
tried here, because zig 0.17 looks for one without an end where it cannot make it.
"""

import os
import pwd
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ossc.targets.errors import ToolchainError

NEW_CACHE_BYTES = 100_000_000
"""What a new cache takes for the two C libraries of a target, rounded up."""

LINK_BYTES = 8_000_000
"""What one more link takes in a cache that is there, rounded up."""

SLOW_S = 5.0
"""Linking a small program takes longer only when zig builds a C library first."""


def zig_cc(arguments: Sequence[str], what: str, on_slow: Callable[[], None] | None = None) -> None:
    """Run ``zig cc``.

    Args:
        arguments: Of the compiler.
        what: What they make, for messages.
        on_slow: Called when it takes longer than :data:`SLOW_S`.

    Raises:
        ToolchainError: zig is not installed, or failed; its message is in the error.
    """
    environment = dict(os.environ) | {"ZIG_GLOBAL_CACHE_DIR": str(zig_cache_folder())}
    status, stderr = _run([*zig_command(), "cc", *arguments], environment, on_slow)
    if status:
        raise ToolchainError(
            f"zig could not link {what}: {_problem(status, stderr)}."
        ) from ToolchainError(stderr)


def zig_clang(arguments: Sequence[str], what: str) -> None:
    """Run zig's clang as it is, without what ``zig cc`` adds.

    Args:
        arguments: Of clang.
        what: What it reads, for messages.

    Raises:
        ToolchainError: zig is not installed, or clang refuses; its message is in the error.
    """
    environment = dict(os.environ) | {"ZIG_GLOBAL_CACHE_DIR": str(zig_cache_folder())}
    status, stderr = _run([*zig_command(), "clang", *arguments], environment, None)
    if status:
        raise ToolchainError(
            f"clang refuses {what}: {_problem(status, stderr)}."
        ) from ToolchainError(stderr)


def zig_command() -> list[str]:
    """Return the command that runs zig.

    Raises:
        ToolchainError: The package ``ziglang`` is not installed.
    """
    try:
        import ziglang
    except ImportError as error:
        raise ToolchainError(
            'Linking needs zig, which is not installed; pip install "ossc[compile]".'
        ) from error
    binary = Path(ziglang.__file__).parent / "zig"
    return [str(binary)] if os.access(binary, os.X_OK) else [sys.executable, "-m", "ziglang"]


def zig_cache_folder() -> Path:
    """Return the folder of zig's cache, as zig chooses it where the environment is complete.

    Raises:
        ToolchainError: The environment names none, and this user has no home.
    """
    for name, below in (("ZIG_GLOBAL_CACHE_DIR", ""), ("XDG_CACHE_HOME", "zig")):
        if os.environ.get(name):
            return Path(os.environ[name], below).absolute()
    try:
        home = os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir
    except KeyError as error:
        raise ToolchainError(
            "zig needs a folder for its cache, and this user has no home; set ZIG_GLOBAL_CACHE_DIR "
            "to one that can be written."
        ) from error
    return Path(home, ".cache", "zig").absolute()


def try_zig_cache() -> Path:
    """Make sure that zig's cache can be written and has room.

    Returns:
        Its folder.

    Raises:
        ToolchainError: It cannot, or has not.
    """
    folder = zig_cache_folder()
    needed_bytes = LINK_BYTES if (folder / "o").is_dir() else NEW_CACHE_BYTES
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, needed_bytes)
    except OSError as error:
        raise ToolchainError(
            f"zig's cache {folder} cannot take {needed_bytes / 1e6:.0f} MB ({error.strerror}); set "
            "ZIG_GLOBAL_CACHE_DIR to a folder that can be written and has room."
        ) from error
    return folder


def _run(
    command: list[str], environment: dict[str, str], on_slow: Callable[[], None] | None
) -> tuple[int, str]:
    """Run a program and all that it starts; returns its status and what it says."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
            cwd="/",  # caches are named by where zig lies from here: else environments share names
            process_group=0,  # zig starts a compiler for each source file: they end together
        )
    except OSError as error:
        raise ToolchainError(
            f"zig does not start ({error.strerror}); install the package ziglang again, on a disk "
            "from which programs may run."
        ) from error
    with process:
        try:
            said = _said(process, on_slow)
        except BaseException:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, said


def _said(process: "subprocess.Popen[str]", on_slow: Callable[[], None] | None) -> str:
    try:
        return process.communicate(timeout=SLOW_S if on_slow else None)[1]
    except subprocess.TimeoutExpired:
        assert on_slow is not None, "otherwise there is no limit"
        on_slow()
        return process.communicate()[1]


def _problem(returncode: int, stderr: str) -> str:
    """Say why zig failed, and what to do."""
    if returncode < 0:  # zig maps the file that it writes, so a full disk ends it like a full RAM
        name = signal.Signals(-returncode).name
        return f"it was ended by {name}, as when disk or memory is full; free some and run again"
    if "NoSpaceLeft" in stderr or "No space left" in stderr:
        return (
            "the disk of its cache is full; free space, or set ZIG_GLOBAL_CACHE_DIR to a folder on "
            "another disk"
        )
    if "cache directory" in stderr:
        return "its cache cannot be written; set ZIG_GLOBAL_CACHE_DIR to a folder that can"
    errors = [line.strip() for line in stderr.splitlines() if "error:" in line]
    return f"{errors[0] if errors else stderr.strip()[-200:]}; run again with --debug to see it all"
