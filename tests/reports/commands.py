"""What the cases do with bundles and processes."""

import dataclasses
import os
import resource
import subprocess
import sys
from pathlib import Path

import ossc.compiler
from ossc.compiler.bundle import TEXT_FILES, file_entry
from ossc.runtimes.manifest import Manifest

LINKS = Path(ossc.compiler.__file__).parents[2]


def one_sentence(stderr: str) -> str:
    """Return the error that a command ended with, once it is one sentence and no fault of ours."""
    *before, sentence = stderr.splitlines()
    assert not any(line.startswith(("Traceback", "Error:")) for line in before), stderr
    assert sentence.startswith("Error: "), stderr
    assert sentence.endswith((".", "?")), stderr
    assert "fault of ossc" not in sentence, stderr
    return sentence.removeprefix("Error: ")


def list_files(folder: Path, **changes: object) -> None:
    """Put what is in a bundle's folder now, and changed fields, into its manifest."""
    manifest = Manifest.read(folder)
    present = [name for name in TEXT_FILES if (folder / name).exists()]
    roles = dict.fromkeys(present, "text") | {n: e.role for n, e in manifest.files.items()}
    files = {name: file_entry(folder / name, role) for name, role in roles.items()}
    dataclasses.replace(manifest, files=files, **changes).write(folder)


def run_program(
    first: str | Path,
    *arguments: str | bytes | Path,
    timeout: float = 60,
    memory_bytes: int | None = None,
    stdout: int | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program, or Python when the first argument is an option of it, in its own process.

    Args:
        first: The program, or Python's first argument.
        arguments: The others; bytes go as they are.
        timeout: Seconds after which the test fails.
        memory_bytes: Address space that it may take.
        stdout: A file descriptor; by default the output is captured.
    """
    program = [first] if isinstance(first, Path) else [sys.executable, first]

    def limit() -> None:
        if memory_bytes is not None:
            resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))

    return subprocess.run(
        [*program, *arguments],
        env=dict(os.environ) | {"PYTHONPATH": str(LINKS)},
        stdout=subprocess.PIPE if stdout is None else stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=timeout,
        check=False,
        preexec_fn=limit,
    )
