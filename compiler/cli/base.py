"""What all commands share: loading on demand, and how a failure or a signal ends the process."""

import importlib
import sys
import traceback
from collections.abc import Mapping
from typing import Any, NoReturn

import click

from ossc.compiler.cli.ending import die_of, interrupt_on_signals, signal_of
from ossc.compiler.cli.streams import checked_streams
from ossc.targets.errors import OsscError, OutputError, UnknownNameError

format_option = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="text for people, json for programs.",
)


class OsscCommand(click.Command):
    """A command that prints an expected failure as one sentence."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        help_text = "Show the traceback of a failure."
        self.params.append(click.Option(["--debug"], is_flag=True, help=help_text))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an `OsscError` ends the process with its exit status."""
        debug = ctx.params.pop("debug", False)
        try:
            return super().invoke(ctx)
        except (click.exceptions.Exit, click.Abort, click.ClickException, BrokenPipeError):
            raise
        except OsscError as error:
            _fail(error, str(error), error.exit_code, debug)
        except OSError as error:
            what = f"{error.filename or 'A file'} cannot be used ({error.strerror})"
            hint = "make sure that it is there, that this user may use it, and that there is room."
            _fail(error, f"{what}; {hint}", 1, debug)
        except Exception as error:  # noqa: BLE001 - a fault of ours: still one sentence, unless asked
            _fail(error, _missing_package(error) or _fault(error), 1, debug)


def _missing_package(error: Exception) -> str | None:
    name = error.name if isinstance(error, ModuleNotFoundError) else None
    if name is None or name.startswith("ossc."):
        return None
    return (
        f"This needs the Python package {name}, which is not installed; "
        'run pip install "ossc[compile]".'
    )


def _fault(error: Exception) -> str:
    return (
        f"ossc failed with {type(error).__name__}: {error}; this is a fault of ossc, "
        "run again with --debug and report what it prints."
    )


class OsscGroup(click.Group):
    """Finds a command's file when the command is used."""

    def __init__(self, *args: Any, commands_help: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._commands_help = commands_help

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run as the program of this process, whose streams and signals are its own."""
        interrupt_on_signals()
        try:
            with checked_streams():
                return super().__call__(*args, **kwargs)
        except OutputError as error:
            _fail(error, str(error), error.exit_code, debug=False)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take ``ossc help [COMMAND]`` for ``ossc [COMMAND] --help``."""
        return super().parse_args(ctx, [*args[1:], "--help"] if args[:1] == ["help"] else args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; one that a signal interrupts has cleaned up when the process dies."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            number = signal_of(error)
            if number is None:
                raise
            click.echo(f"\nEnded by {number.name}.", err=True)
            die_of(number)

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names in the order of use."""
        return list(self._commands_help)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in self._commands_help:
            raise click.UsageError(
                str(UnknownNameError("command", cmd_name, self._commands_help)), ctx
            )
        module = importlib.import_module(f"ossc.compiler.cli.{cmd_name}_command")
        command: click.Command = module.command
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._commands_help.items()))


def _fail(error: BaseException, message: str, exit_code: int, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exception(error)
    click.echo(f"Error: {message}", err=True)
    sys.exit(exit_code)
