"""Linking: the runtime's C sources and a model's object file, with zig, for any target.

zig (PyPI ``ziglang``) brings the C libraries of every target, so no system compiler is needed, and
the bytes it links depend only on its inputs. Its first use for a target takes a minute or two; the
result is cached in ``ZIG_GLOBAL_CACHE_DIR``.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import ossc.runtimes
from ossc.compiler.lowering.pipeline import KernelObject
from ossc.targets import Target
from ossc.targets.errors import ToolchainError
from ossc.targets.instruction_set import InstructionSet

RUNTIME_SOURCES = Path(ossc.runtimes.__file__).parent / "c"
"""The C runtime, as the wheel ships it."""

EXECUTABLE = "ossc-run"
LIBRARY = "libossc_model.so"

_COMPILE = (
    "-std=c11",
    "-O2",
    "-g0",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fvisibility=hidden",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-sanitize=undefined",
    "-ffp-contract=off",
)
_LINK = ("-Wl,--gc-sections", "-Wl,--build-id=none", "-s")


def link_runtime(target: Target, objects: Sequence[KernelObject], folder: Path) -> None:
    """Link ``ossc-run`` (static) and ``libossc_model.so`` into a folder.

    Args:
        target: What to build for.
        objects: The generated kernels.
        folder: Where both files go.

    Raises:
        ToolchainError: zig is not installed, or failed; its message is in the error.
    """
    table = objects[0].path.with_name("kernel_table.c")
    table.write_text(kernel_table(objects), encoding="utf-8")
    sources = sorted((RUNTIME_SOURCES / "src").glob("*.c"))
    library_sources = [source for source in sources if source.name != "main.c"]
    common = [table, *(each.path for each in objects)]
    _zig_cc(target.zig_static, ["-static"], [*sources, *common], folder / EXECUTABLE)
    shared = ["-shared", "-fPIC", f"-Wl,-soname,{LIBRARY}"]
    _zig_cc(target.zig_shared, shared, [*library_sources, *common], folder / LIBRARY)


def kernel_table(objects: Sequence[KernelObject]) -> str:
    """Write the C file that lets the runtime find a kernel by its name, the best variant first.

    Args:
        objects: The one that needs nothing first, then the others, the best first.
    """
    base, *others = objects
    symbols = sorted(symbol for each in objects for symbol in each.symbols.values())
    declarations = [
        f"int __tvm_ffi_{symbol}(void*, const TVMFFIAny*, int32_t, TVMFFIAny*);"
        for symbol in symbols
    ]
    sets = [line for each in others if each.needs for line in _instruction_set(each.needs)]
    entries = [
        f'    {{"{name}", __tvm_ffi_{each.symbols[name]}, {_needs(each)}}},'
        for name in sorted(base.symbols)
        for each in (*others, base)
        if name in each.symbols
    ]
    lines = [
        '#include "kernel_table.h"',
        *declarations,
        *sets,
        "const ossc_kernel ossc_kernels[] = {",
        *entries,
        "};",
        f"const size_t ossc_kernel_count = {len(entries)};",
    ]
    return "\n".join([*lines, ""])


def _instruction_set(needs: InstructionSet) -> list[str]:
    features = ", ".join(f'"{feature}"' for feature in needs.cpu_features)
    return [
        f"static const char* const {needs.name}_features[] = {{{features}, NULL}};",
        f"static const ossc_instruction_set {needs.name} = "
        f'{{"{needs.name}", {needs.name}_features}};',
    ]


def _needs(kernels: KernelObject) -> str:
    return f"&{kernels.needs.name}" if kernels.needs else "NULL"


def _zig_cc(triple: str, flags: Sequence[str], inputs: Sequence[Path], output: Path) -> None:
    includes = [f"-I{RUNTIME_SOURCES / name}" for name in ("include", "src")]
    command = [
        *zig_command(),
        "cc",
        "-target",
        triple,
        *_COMPILE,
        *includes,
        *flags,
        *map(str, inputs),
        *_LINK,
        "-lm",
        "-lpthread",
        "-o",
        str(output),
    ]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        problem = _problem(finished.returncode, finished.stderr)
        raise ToolchainError(
            f"zig could not link {output.name} for {triple}: {problem}."
        ) from ToolchainError(finished.stderr)


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
