"""A bundle of the plan in ``tiny_plan`` and of kernels written by hand, made without our compiler.

Its model's hidden state is the mean of the embeddings so far, and its head is the embedding.
"""

import os
import platform
import shutil
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path
from subprocess import run

import numpy as np
from numpy.typing import NDArray

import ossc.runtimes
from once import once
from ossc.runtimes.bundle import EXECUTABLE_NAME, LIBRARY_NAME
from ossc.runtimes.manifest import FileEntry, HostEntry, TargetEntry
from synthetic.tiny_plan import HIDDEN, VOCAB, make_manifest, make_plan, role_of

C_RUNTIME = Path(ossc.runtimes.__file__).parent / "c"
ZIG = (sys.executable, "-m", "ziglang", "cc")
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-fvisibility=hidden")


def weights() -> NDArray[np.float32]:
    """``[VOCAB, HIDDEN]``, the same each time."""
    return np.random.default_rng(0).standard_normal((VOCAB, HIDDEN)).astype(np.float32)


def reference_logits(token_ids: Sequence[int]) -> NDArray[np.float64]:
    """``[len(token_ids), VOCAB]``, computed in float64."""
    embedded = weights().astype(np.float64)[list(token_ids)]
    counts = np.arange(1, len(token_ids) + 1)[:, None]
    return np.cumsum(embedded, axis=0) / counts @ weights().T


def write_bundle(
    directory: Path,
    binaries: Sequence[Path] = (),
    *,
    plan: bytes | None = None,
    files: Mapping[str, bytes] | None = None,
    **changes: object,
) -> Path:
    """Write plan, weights, further files, copies of binaries and a manifest with fields replaced.

    Args:
        directory: The bundle.
        binaries: Programs that it holds.
        plan: The bytes of plan.bin; by default the plan of `make_plan`.
        files: Of its weights, by name; by default the embedding as ``weights.bin``.
        changes: Fields of the manifest.
    """
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "plan.bin").write_bytes(make_plan().to_bytes() if plan is None else plan)
    for name, data in (files or {"weights.bin": weights().tobytes()}).items():
        (directory / name).write_bytes(data)
    for binary in binaries:
        shutil.copy2(binary, directory / binary.name)
    paths = [path for path in directory.iterdir() if not path.name.startswith("manifest.")]
    entries = {path.name: FileEntry.of(role_of(path.name), path.read_bytes()) for path in paths}
    host = HostEntry(arch=platform.machine(), cpu_features=())
    target = TargetEntry(name="cpu:test", host=host)
    make_manifest(entries, **({"target": target} | changes)).write(directory)
    return directory


def compile_c(
    output: Path,
    sources: Sequence[Path],
    flags: Sequence[str],
    compiler: Sequence[str] = ZIG,
    objects: Path | None = None,
) -> Path:
    """Compile C sources with the runtime's headers; warnings are errors.

    Args:
        output: A program or library.
        sources: C files, and object files.
        flags: For compiling and linking.
        compiler: The command.
        objects: A folder where object files of C files are kept; programs with the same flags
            share them.
    """
    inputs = sources if objects is None else _object_files(sources, flags, compiler, objects)
    _run_compiler([*compiler, *WARNINGS, *flags], [*inputs, "-lm", "-lpthread"], output)
    return output


def _object_files(
    sources: Sequence[Path], flags: Sequence[str], compiler: Sequence[str], folder: Path
) -> list[Path]:
    """Compile each C file, unless that was done."""
    command = [*compiler, *WARNINGS, *flags, "-c"]

    def compiled(source: Path) -> Path:
        if source.suffix != ".c":
            return source
        name = sha256(repr((command, source)).encode()).hexdigest()[:16]
        return once(folder / f"{name}.o", partial(_run_compiler, command, [source]))

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        return list(threads.map(compiled, sources))


def _run_compiler(command: Sequence[str], inputs: Sequence[str | Path], output: Path) -> None:
    includes = [f"-I{C_RUNTIME / name}" for name in ("include", "src")]
    finished = run(
        [*command, *includes, *map(str, inputs), "-o", str(output)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr


def runtime_sources(*, main: bool = False) -> list[Path]:
    """The runtime's sources and the kernels by hand."""
    sources = sorted((C_RUNTIME / "src").rglob("*.c"))
    kept = [source for source in sources if main or source.name != "main.c"]
    return [*kept, *(C_RUNTIME / "test" / name for name in ("device_kinds.c", "kernels.c"))]


def program_sources(name: str) -> list[Path]:
    """The sources of one of the runtime's own test programs."""
    return [C_RUNTIME / "test" / f"{name}.c", *runtime_sources()]


def static_flags(triple: str) -> tuple[str, ...]:
    """Flags for static programs of another architecture, for zig."""
    return ("-O2", "-target", triple, "-static", "-fno-sanitize=undefined")


def build_library(directory: Path) -> Path:
    """``libossc_model.so`` of runtime and kernels, for this machine."""
    flags = ("-O2", "-shared", "-fPIC")
    return compile_c(directory / LIBRARY_NAME, runtime_sources(), flags)


def build_executable(directory: Path, objects: Path | None = None) -> Path:
    """``ossc-run`` of runtime and kernels, for this machine; see `compile_c` for the objects."""
    sources = runtime_sources(main=True)
    return compile_c(directory / EXECUTABLE_NAME, sources, ("-O2",), objects=objects)
