"""The programs of both sides, each in the modes that may be its best."""

from pathlib import Path

from benchmarks.beside.models import Models
from benchmarks.beside.process import Side

OSSC, LLAMA_CPP = "ossc", "llama.cpp"

OSSC_MODES: dict[str, tuple[str, ...]] = {
    "mapped": ("--weights", "mapped"),
    "resident": ("--weights", "resident"),
}
"""Pages of the file, or copies in huge pages."""

LLAMA_CPP_MODES: dict[str, tuple[str, ...]] = {
    "mapped": ("--mmap", "--no-repack"),
    "repacked": ("--mmap", "--repack"),
}
"""Pages of the file, or matrices that it interleaves anew at each start."""

TESTS = Path(__file__).parents[2]


def ossc_side(models: Models, mode: str, threads: int, flags: tuple[str, ...]) -> Side:
    """Our program in one mode.

    Args:
        models: The files.
        mode: A key of :data:`OSSC_MODES`.
        threads: Threads that compute.
        flags: More options of ``ossc-run``.
    """
    program = str(models.bundle / "ossc-run")
    command = (program, str(models.bundle), "--measure", "--threads", str(threads))
    return Side(
        name=f"{OSSC} {mode}",
        command=(*command, *OSSC_MODES[mode], *flags),
        weights=models.bundle / "weights.bin",
    )


def llama_cpp_side(
    models: Models, mode: str, threads: int, python: Path, flags: tuple[str, ...]
) -> Side:
    """The peer's program in one mode.

    Args:
        models: The files.
        mode: A key of :data:`LLAMA_CPP_MODES`.
        threads: Threads that compute.
        python: Of the peer's environment.
        flags: More options of :mod:`benchmarks.beside.llama_cpp_driver`.
    """
    driver = (str(python), "-m", "benchmarks.beside.llama_cpp_driver", str(models.gguf))
    return Side(
        name=f"{LLAMA_CPP} {mode}",
        command=(*driver, "--threads", str(threads), *LLAMA_CPP_MODES[mode], *flags),
        weights=models.gguf,
        environment={"PYTHONPATH": str(TESTS)},
    )
