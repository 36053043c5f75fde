"""Linking: the runtime's C sources and a model's object file, with zig, for any target.

zig brings the C libraries of every target, so no system compiler is needed, and the bytes it links
depend only on its inputs. Its first use for a target takes a minute or two: :func:`prepare_linker`
does that, and says so, before anything else is done.
"""

import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import ossc.runtimes
from ossc.compiler.backends.cpu.objects import KernelObjects
from ossc.compiler.backends.cpu.zig import try_zig_cache, zig_cc
from ossc.compiler.progress import Reporter
from ossc.targets import Target
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
_LINK = ("-Wl,--gc-sections", "-Wl,--build-id=none", "-s", "-lm", "-lpthread")
_STATIC = ("-static",)
_SHARED = ("-shared", "-fPIC", f"-Wl,-soname,{LIBRARY}")


def prepare_linker(target: Target, progress: Reporter) -> None:
    """Link an empty program and library for a target, so that what is missing shows at once.

    Raises:
        ToolchainError: zig is not installed, its cache cannot be written, or it failed.
    """
    progress.phase("Trying zig")
    with tempfile.TemporaryDirectory(prefix="ossc-", dir=try_zig_cache()) as folder:
        source = Path(folder) / "empty.c"
        source.write_text("int main(void) { return 0; }\n", encoding="utf-8")
        for triple, flags in ((target.host.zig_static, _STATIC), (target.host.zig_shared, _SHARED)):
            cold = f"Building zig's C library for {triple}, once: 1 to 2 minutes"
            arguments = [*_compile_flags(triple, flags), str(source), *_LINK]
            zig_cc(
                [*arguments, "-o", str(source.with_suffix(".out"))],
                f"an empty program for {triple}",
                on_slow=partial(progress.phase, cold),
            )


def link_runtime(target: Target, objects: Sequence[KernelObjects], folder: Path) -> None:
    """Link ``ossc-run`` (static) and ``libossc_model.so`` into a folder.

    Args:
        target: What to build for.
        objects: The generated kernels.
        folder: Where both files go.

    Raises:
        ToolchainError: zig is not installed, or failed; its message is in the error.
    """
    table = objects[0].paths[0].with_name("kernel_table.c")
    table.write_text(kernel_table(objects), encoding="utf-8")
    sources = sorted((RUNTIME_SOURCES / "src").rglob("*.c"))
    library_sources = [source for source in sources if source.name != "main.c"]
    common = [table, *(path for each in objects for path in each.paths)]
    _link(target.host.zig_static, _STATIC, [*sources, *common], folder / EXECUTABLE)
    _link(target.host.zig_shared, _SHARED, [*library_sources, *common], folder / LIBRARY)


def kernel_table(objects: Sequence[KernelObjects]) -> str:
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
        '#include "device/cpu/kernel_table.h"',
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


def _needs(kernels: KernelObjects) -> str:
    return f"&{kernels.needs.name}" if kernels.needs else "NULL"


def _link(triple: str, flags: Sequence[str], inputs: Sequence[Path], output: Path) -> None:
    includes = [f"-I{RUNTIME_SOURCES / name}" for name in ("include", "src")]
    arguments = [*_compile_flags(triple, flags), *includes, *map(str, inputs)]
    zig_cc([*arguments, *_LINK, "-o", str(output)], f"{output.name} for {triple}")


def _compile_flags(triple: str, flags: Sequence[str]) -> list[str]:
    return ["-target", triple, *_COMPILE, *flags]
