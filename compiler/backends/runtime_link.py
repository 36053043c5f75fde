"""Linking the runtime's C sources into a bundle's program and library, with zig, for any target.

zig brings the C libraries of every target, so no system compiler is needed, and the bytes it links
depend only on its inputs. Its first use for a target takes a minute or two: :func:`prepare_linker`
does that, and says so, before anything else is done.
"""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import ossc.runtimes
from ossc.compiler.backends.zig import try_zig_cache, zig_cc
from ossc.compiler.progress import Reporter
from ossc.runtimes.bundle import EXECUTABLE_NAME, LIBRARY_NAME
from ossc.targets import Target

RUNTIME_SOURCES = Path(ossc.runtimes.__file__).parent / "c"
"""The C runtime, as the wheel ships it."""

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
_LINK = ("-Wl,--gc-sections", "-Wl,--build-id=none", "-s", "-lm", "-lpthread")
_STATIC = ("-static",)
_DRIVERS = ("-ldl",)
_SHARED = ("-shared", "-fPIC", f"-Wl,-soname,{LIBRARY_NAME}")


def program_flags(target: Target) -> tuple[str, tuple[str, ...]]:
    """Return zig's triple for the program, and its own flags: static, unless it loads drivers."""
    if target.device.loads_drivers:
        return target.host.zig_shared, _DRIVERS
    return target.host.zig_static, _STATIC


def library_flags(target: Target) -> tuple[str, tuple[str, ...]]:
    """Return zig's triple for the library, and its own flags."""
    drivers = _DRIVERS if target.device.loads_drivers else ()
    return target.host.zig_shared, (*_SHARED, *drivers)


def prepare_linker(target: Target, progress: Reporter) -> None:
    """Link an empty program and library for a target, so that what is missing shows at once.

    Raises:
        ToolchainError: zig is not installed, its cache cannot be written, or it failed.
    """
    progress.phase("Trying zig")
    with tempfile.TemporaryDirectory(prefix="ossc-", dir=try_zig_cache()) as folder:
        source = Path(folder) / "empty.c"
        source.write_text("int main(void) { return 0; }\n", encoding="utf-8")
        for triple, flags in (program_flags(target), library_flags(target)):
            cold = f"Building zig's C library for {triple}, once: 1 to 2 minutes"
            arguments = [*_compile_flags(triple, flags), str(source), *_LINK]
            zig_cc(
                [*arguments, "-o", str(source.with_suffix(".out"))],
                f"an empty program for {triple}",
                on_slow=partial(progress.phase, cold),
            )


def link_runtime(target: Target, inputs: Sequence[Path], folder: Path, scratch: Path) -> None:
    """Link ``ossc-run`` and ``libossc_model.so`` into a folder.

    Both have the target's kind of device, and the one that computes nothing.

    Args:
        target: What to build for.
        inputs: What else belongs in them, such as the objects of kernels.
        folder: Where both files go.
        scratch: For what is only needed meanwhile.

    Raises:
        ToolchainError: zig is not installed, or failed; its message is in the error.
    """
    kinds = (target.kind, "null")
    table = scratch / "device_kinds.c"
    table.write_text(device_table(kinds), encoding="utf-8")
    sources = runtime_sources(kinds)
    library_sources = [source for source in sources if source.name != "main.c"]
    _link(*program_flags(target), [*sources, table, *inputs], folder / EXECUTABLE_NAME)
    _link(*library_flags(target), [*library_sources, table, *inputs], folder / LIBRARY_NAME)


def runtime_sources(kinds: Sequence[str]) -> list[Path]:
    """Return the runtime's C files that a program with these kinds of devices needs."""
    sources = RUNTIME_SOURCES / "src"
    others = {header.parent for header in sources.glob("device/*/*_device.h")}
    others -= {sources / "device" / kind for kind in kinds}
    return sorted(file for file in sources.rglob("*.c") if file.parent not in others)


def device_table(kinds: Sequence[str]) -> str:
    """Write the C file that lists the kinds of devices of a program."""
    lines = [
        *(f'#include "device/{kind}/{kind}_device.h"' for kind in kinds),
        "const device_api* const device_kinds[] = {",
        *(f"    &{kind}_device_api," for kind in kinds),
        "    NULL,",
        "};",
    ]
    return "\n".join([*lines, ""])


def _link(triple: str, flags: Sequence[str], inputs: Sequence[Path], output: Path) -> None:
    includes = [f"-I{RUNTIME_SOURCES / name}" for name in ("include", "src")]
    arguments = [*_compile_flags(triple, flags), *includes, *map(str, inputs)]
    zig_cc([*arguments, *_LINK, "-o", str(output)], f"{output.name} for {triple}")


def _compile_flags(triple: str, flags: Sequence[str]) -> list[str]:
    return ["-target", triple, *_COMPILE, *flags]
