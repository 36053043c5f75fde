"""llama.cpp, built for this machine from the source package ``llama-cpp-python``."""

import os
import subprocess
import sys
from pathlib import Path

REQUIREMENT = "llama-cpp-python==0.3.36"
"""Exact: the layout of its saved states is known for this release."""

CMAKE_ARGS = "-DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAVA_BUILD=OFF"
"""All instructions of this CPU; not the image models."""

STAMP = "built-with"


def build_peer(folder: Path, *, jobs: int | None = None) -> Path:
    """Install llama.cpp into an environment of its own, once; it takes many minutes.

    Args:
        folder: The environment; made when it is not there.
        jobs: Compilers at a time; by default one for each CPU.

    Returns:
        The environment's Python.

    Raises:
        CalledProcessError: pip failed; what it printed says why.
    """
    python = folder / "bin" / "python"
    stamp = folder / STAMP
    order = f"{REQUIREMENT} {CMAKE_ARGS}\n"
    if stamp.exists() and stamp.read_text() == order:
        return python
    environment = os.environ | {
        "CMAKE_ARGS": CMAKE_ARGS,
        "CMAKE_BUILD_PARALLEL_LEVEL": str(jobs or os.cpu_count()),
    }
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    install = [str(python), "-m", "pip", "install", "--no-binary", "llama-cpp-python", REQUIREMENT]
    subprocess.run(install, env=environment, check=True, stdout=sys.stderr)
    stamp.write_text(order)
    return python
