"""Linking a model's object files with the runtime."""

from collections.abc import Sequence
from pathlib import Path

from ossc.compiler.backends.cpu.objects import KernelObjects
from ossc.compiler.backends.cpu.signature import BufferType, Signature
from ossc.compiler.backends.runtime_link import link_runtime
from ossc.targets import Target
from ossc.targets.instruction_set import InstructionSet


def link_kernels(target: Target, objects: Sequence[KernelObjects], folder: Path) -> None:
    """Link ``ossc-run`` (static) and ``libossc_model.so`` into a folder.

    Args:
        target: What to build for.
        objects: The generated kernels.
        folder: Where both files go.

    Raises:
        ToolchainError: zig is not installed, or failed; its message is in the error.
    """
    scratch = objects[0].paths[0].parent
    table = scratch / "kernel_table.c"
    table.write_text(kernel_table(objects), encoding="utf-8")
    paths = [path for each in objects for path in each.paths]
    link_runtime(target, [table, *paths], folder, scratch)


def kernel_table(objects: Sequence[KernelObjects]) -> str:
    """Write the C file that lets the runtime find a kernel by its name, the best variant first.

    Args:
        objects: The one that needs nothing first, then the others, the best first.
    """
    base, *others = objects
    for each in others:
        for name, signature in each.signatures.items():
            assert signature == base.signatures[name], (
                f"{name} takes other buffers for {each.needs}"
            )
    symbols = sorted(symbol for each in objects for symbol in each.symbols.values())
    declarations = [
        f"int __tvm_ffi_{symbol}(void*, const TVMFFIAny*, int32_t, TVMFFIAny*);"
        for symbol in symbols
    ]
    sets = [line for each in others if each.needs for line in _instruction_set(each.needs)]
    names = sorted(base.symbols)
    lines, signatures = _signatures([base.signatures[name] for name in names])
    entries = [
        f'    {{"{name}", __tvm_ffi_{each.symbols[name]}, {_needs(each)}, &{signature}}},'
        for name, signature in zip(names, signatures, strict=True)
        for each in (*others, base)
        if name in each.symbols
    ]
    lines = [
        '#include "device/cpu/kernel_table.h"',
        *declarations,
        *sets,
        *lines,
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


def _signatures(signatures: Sequence[Signature]) -> tuple[list[str], list[str]]:
    """Return the definitions of signatures, each once, and the name of each signature."""
    buffers: dict[BufferType, str] = {}
    names: dict[Signature, str] = {}
    lines = []
    for signature in signatures:
        if signature in names:
            continue
        for buffer in signature.buffers:
            if buffer not in buffers:
                buffers[buffer] = f"buffer{len(buffers)}"
                lines.append(_buffer(buffers[buffer], buffer))
        names[signature] = name = f"signature{len(names)}"
        taken = ", ".join(f"&{buffers[buffer]}" for buffer in signature.buffers)
        count, ranged = len(signature.buffers), str(signature.ranged).lower()
        lines += [
            f"static const ossc_kernel_buffer* const {name}_buffers[] = {{{taken}}};",
            f"static const ossc_kernel_signature {name} = {{{ranged}, {count}, {name}_buffers}};",
        ]
    return lines, [names[signature] for signature in signatures]


def _buffer(name: str, buffer: BufferType) -> str:
    shape = ", ".join(map(str, buffer.shape))
    fields = f"PLAN_{buffer.dtype.name}, {len(buffer.shape)}, {{{shape}}}"
    return f"static const ossc_kernel_buffer {name} = {{{fields}}};"
