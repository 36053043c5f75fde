"""Opening a bundle that has to be refused, with either reader; the reason is returned."""

import subprocess
from pathlib import Path

import pytest

from ossc.runtimes.session import Session
from ossc.targets.errors import BundleError


def open_in_python(bundle: Path, _program: Path) -> str:
    """Open it as `ossc run` does."""
    with pytest.raises(BundleError) as raised:
        Session(bundle)
    return str(raised.value)


def open_in_c(bundle: Path, program: Path) -> str:
    """Run the program on it, which has to say one sentence and nothing else."""
    command = [program, bundle, "--token-ids", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("ossc-run: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


READERS = {"python": open_in_python, "ossc-run": open_in_c}
