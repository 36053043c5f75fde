"""The command ``ossc``: it parses, calls and prints; the work is done elsewhere.

A command is a file of this folder whose ``command`` is its click command. It is imported only when
it is used or described, so ``ossc --help`` loads no compiler.
"""

from pathlib import Path

import click

import ossc.runtimes
from ossc.compiler.cli.base import OsscGroup
from ossc.runtimes.version import __version__

COMMANDS = {
    "compile": "Compile a checkpoint into a bundle for a target.",
    "export": "Write a checkpoint as ONNX, without copying its weights.",
    "run": "Generate text, or token ids, with a bundle.",
    "evaluate": "Measure how well a bundle predicts a text, and how far it is from the model.",
    "profile": "Measure where the time goes, and whether it became more.",
    "inspect": "Show what a bundle holds and needs.",
    "verify": "Check a bundle's files, and its numbers against the model.",
    "targets": "List the machines to compile for, or describe one.",
    "schemes": "List the formats for quantized weights, or describe one.",
}
"""What ``ossc --help`` says of each command, in the order of use."""


def print_include_dir(ctx: click.Context, _option: click.Parameter, given: bool) -> None:
    """Print the folder of ``ossc.h``, and end the command."""
    if given:
        click.echo(Path(ossc.runtimes.__file__).parent / "c" / "include")
        ctx.exit()


@click.group(
    cls=OsscGroup,
    commands_help=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="ossc")
@click.option(
    "--include-dir",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_include_dir,
    help="Show the folder of ossc.h, for C programs that run bundles, and exit.",
)
def main() -> None:
    """Compile open-weight models for the edge, and run them.

    \b
    A first bundle, for this machine's CPU:
      ossc compile path/to/gpt-oss-20b --target cpu --out bundle
      ossc run bundle --chat -p "Why is the sky blue?"

    Data goes to stdout, progress and messages to stderr. Exit status: 0 done, 1 failed, 2 wrong
    usage, 3 no verdict. Ctrl-C, SIGTERM and SIGHUP end it when it has cleaned up, and a second
    Ctrl-C at once; a reader of its output that goes away ends it quietly, with 1.
    """  # noqa: D301 - click reads the character \b
