"""Disks of a test's own: small or read-only ones, in a mount namespace that ends with the command.

Needs root, or a system where users may have namespaces of their own.
"""

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

_MOUNT = 'mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@"'
_NAMESPACE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "-m"]


@functools.cache
def can_mount() -> bool:
    """Whether this user may mount a disk for one command."""
    if shutil.which("unshare") is None:
        return False
    command = [*_NAMESPACE, "sh", "-c", _MOUNT, "sh", "size=1m", "/tmp", "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run_on_disk(
    folder: Path, options: str, command: Sequence[str], **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command that sees an empty disk at a folder, until it ends.

    Args:
        folder: Where the disk is; exists.
        options: Of the mount, such as ``size=1m`` or ``ro``.
        command: What to run.
        environment: Variables that it gets beside this process's.
    """
    if not can_mount():
        pytest.skip("this user may not mount a disk")
    return subprocess.run(
        [*_NAMESPACE, "sh", "-c", _MOUNT, "sh", options, str(folder), *command],
        env=dict(os.environ) | environment,
        capture_output=True,
        text=True,
        check=False,
    )
