"""A stand-in for NVIDIA's driver, ``runtimes/c/test/fake_cuda.c``: no GPU is needed, and none used.

It shows what the runtime asks of a driver, and how it meets errors; not that a driver takes it so.
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from synthetic.tiny_bundle import C_RUNTIME, compile_c


@dataclass(frozen=True)
class FakeCuda:
    """The library."""

    path: Path

    @contextmanager
    def driver(self, **variables: str) -> Iterator[Counter[str]]:
        """Let processes that are started meanwhile find the driver.

        Args:
            variables: Of the environment, without the prefix ``FAKE_CUDA_``.

        Yields:
            Filled at the end with how often the last process called each function; ``left`` is
            how many objects of the driver it did not give back.
        """
        log = self.path.with_name(f"calls-{os.getpid()}")
        given = {f"FAKE_CUDA_{name}": value for name, value in variables.items()}
        before = dict(os.environ)
        os.environ |= {"OSSC_CUDA_LIBRARY": str(self.path), "FAKE_CUDA_LOG": str(log), **given}
        calls: Counter[str] = Counter()
        try:
            yield calls
        finally:
            os.environ.clear()
            os.environ.update(before)
        calls.update(_read(log))
        log.unlink(missing_ok=True)


def _read(log: Path) -> dict[str, int]:
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return {name: int(count) for name, count in map(str.split, lines)}


def build_fake_cuda(folder: Path) -> FakeCuda:
    """Compile the library into a folder."""
    flags = ("-O1", "-shared", "-fPIC")
    source = C_RUNTIME / "test" / "fake_cuda.c"
    return FakeCuda(compile_c(folder / "libcuda.so.1", [source], flags))
