"""Writes what docs/ holds of the code: command line, targets, schemes, a profile's JSON Schema."""

import json
import sys
from pathlib import Path

import click
from click.testing import CliRunner

from ossc.compiler.cli import COMMANDS, main
from ossc.compiler.quantization import all_schemes
from ossc.compiler.quantization.plan import presets
from ossc.compiler.quantization.rules import TENSOR_CLASSES
from ossc.runtimes.profile.profile_json import schema
from ossc.targets import Target, all_targets

DOCS = Path(__file__).resolve().parent.parent / "docs"
NOTE = "<!-- Made by scripts/docs; change the code instead. -->"


def command_line() -> str:
    """The help text of ossc and of every command."""
    lines = ["# Command line", "", NOTE, "", *_help([])]
    for name in COMMANDS:
        lines += ["", f"## ossc {name}", "", *_help([name])]
    return "\n".join([*lines, ""])


def targets() -> str:
    """The table of targets."""
    lines = [
        "# Targets",
        "",
        NOTE,
        "",
        "`cpu` stands for the first of them that fits this machine. *Verified* says how far the "
        "target was ever run: on a device, under emulation, or compiled only.",
        "",
        "| target | machines | kernels | verified |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{target.name}` | {target.summary} | {_kernels(target)} | {target.verified} |"
        for target in all_targets()
    ]
    lines += [
        "",
        "`ossc profile` measures bundles of all kinds but `webgpu`, each on the device of "
        "`--device`. Limits of CPUs and of OpenCL devices are measured too; of CUDA devices they "
        "are not, and a profile says so. An OpenCL driver of a CPU is called one: "
        "[profile.md](profile.md#devices).",
        "",
        "Bundles of these targets hold the hot kernels for more instruction sets as well. The C "
        "runtime takes the first one that the CPU has, compares it with the target's own on a "
        "small input when a model is opened, and does without it, with a warning, if they "
        "disagree. `OSSC_INSTRUCTION_SET` names one to take instead; `base` is the target's own.",
        "",
        "| target | instruction set | machines | verified |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| `{target.name}` | `{each.name}` | {each.summary} | {each.verified} |"
        for target in all_targets()
        for each in target.host.instruction_sets
    ]
    return "\n".join([*lines, "", *_EMULATION, "", *_32_BITS, "", *_ANDROID, ""])


_EMULATION = [
    "## Emulation",
    "",
    "`ossc run` and `ossc profile --on qemu:ARCH` start the `ossc-run` of another architecture "
    "under qemu-user (7.2 and later), which pretends to be this CPU:",
    "",
    "| target | `ARCH` | command |",
    "|---|---|---|",
    *(
        f"| `{target.name}` | `{target.host.arch}` | `{target.host.emulator} -cpu "
        f"{target.host.qemu_cpu}` |"
        for target in all_targets()
        if target.verified == "emulated" and target.kind == "cpu"
    ),
]

_32_BITS = [
    "## Programs of 32 bits",
    "",
    "A program for `cpu:armv7` has 4 GB of addresses, and its C library gives at most 2 GB of them "
    "in one piece. A bundle whose weights, or whose KV caches for all of `--context`, are larger "
    "is refused before anything is mapped. 64-bit Arm CPUs that run 32-bit programs run such "
    "bundles as well.",
]

_ANDROID = [
    "## Android",
    "",
    "The `ossc-run` of a CPU is static and needs nothing of the system but Linux: no C library, no "
    "other file. So the one of `cpu:aarch64` needs nothing that Android lacks; it was run under "
    "qemu-user, not on Android. `libossc_model.so`, and the programs that load a driver, are for "
    "glibc, which Android does not have.",
]


def _kernels(target: Target) -> str:
    return target.host.kernel_isa if target.kind == "cpu" else "of GPUs"


def schemes() -> str:
    """The tables of schemes and presets."""
    lines = [
        "# Quantization schemes and presets",
        "",
        NOTE,
        "",
        "A scheme is the format of one tensor.",
        "",
        "| scheme | bits a weight | format |",
        "|---|---|---|",
    ]
    lines += [f"| `{each.name}` | {each.bits:g} | {each.summary} |" for each in all_schemes()]
    lines += [
        "",
        "A preset (`--quant`) gives each class of tensors a scheme. Routers, norms, sinks and "
        "biases always stay float. `as-stored` is the form in which the checkpoint holds a tensor: "
        "`mxfp4`, `bf16`, `f16` or `f32`, one by one. Where a float type cannot hold the stored "
        "values exactly, `ossc compile` says how many matrices it rounded. A [plan of your "
        "own](quantization-plans.md) gives schemes to classes, modules and single experts.",
        "",
        "| preset | experts | dense | embedding | head | activations |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| `{plan.name}` | {' | '.join(plan.schemes[each] for each in TENSOR_CLASSES)} "
        f"| {plan.activations} |"
        for plan in presets().values()
    ]
    return "\n".join([*lines, ""])


def profile_schema() -> str:
    """The JSON Schema of a profile."""
    return json.dumps(schema(), indent=1) + "\n"


PAGES = {
    "command-line.md": command_line,
    "targets.md": targets,
    "schemes.md": schemes,
    "profile.schema.json": profile_schema,
}


def _help(arguments: list[str]) -> list[str]:
    result = CliRunner().invoke(main, [*arguments, "--help"], prog_name="ossc", terminal_width=100)
    return ["```", result.output.strip(), "```"]


def stale_pages() -> list[str]:
    """Pages that are not as the code would write them."""
    texts = {name: make() for name, make in PAGES.items()}
    return [
        name
        for name, text in texts.items()
        if not (DOCS / name).is_file() or (DOCS / name).read_text(encoding="utf-8") != text
    ]


def write_pages() -> None:
    """Write every page."""
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), encoding="utf-8")
        click.echo(DOCS.joinpath(name).relative_to(DOCS.parent))


if __name__ == "__main__":
    if sys.argv[1:] == ["--check"]:
        stale = stale_pages()
        sys.exit(f"Stale: {', '.join(stale)}; run scripts/docs." if stale else 0)
    write_pages()
