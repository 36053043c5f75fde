"""Bundles for CUDA devices, which the stand-in for the driver runs; see `fake_cuda`."""

import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from fake_cuda import FakeCuda
from synthetic.cuda_bundle import write_cuda_bundle


@dataclass(frozen=True)
class Program:
    """A bundle's ``ossc-run`` on the driver."""

    bundle: Path
    fake_cuda: FakeCuda

    def run(
        self, *arguments: str, **variables: str
    ) -> tuple[subprocess.CompletedProcess, Counter[str]]:
        """Run it with variables of the driver; returns what it said, and what it called."""
        with self.fake_cuda.driver(**variables) as calls:
            done = subprocess.run(
                [self.bundle / "ossc-run", *arguments], capture_output=True, text=True, check=False
            )
        return done, calls

    def continue_prompt(self, ids: str, **variables: str) -> tuple[list[str], Counter[str]]:
        """Let it add four tokens, which has to work."""
        done, calls = self.run(str(self.bundle), "--token-ids", ids, "-n", "4", **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout.split(), calls

    def reason(self, *arguments: str, **variables: str) -> str:
        """Let it fail, with nothing left behind; returns why: one sentence."""
        done, calls = self.run(str(self.bundle), "--token-ids", "1", *arguments, **variables)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("ossc-run: ")
        assert done.stderr.count("\n") == 1
        assert done.stderr.endswith(".\n")
        assert calls["left"] == 0
        return done.stderr


@pytest.fixture
def bundle(tmp_path, binaries):
    """A bundle that a CUDA device runs."""
    return write_cuda_bundle(tmp_path / "bundle", binaries)


@pytest.fixture
def program(bundle, fake_cuda):
    """The bundle's program."""
    return Program(bundle, fake_cuda)
