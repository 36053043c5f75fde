"""``ossc targets``: which machines ossc compiles for."""

import dataclasses
import json

import click

from ossc.compiler.cli.base import OsscCommand, format_option
from ossc.targets import Target, all_targets, find_target, resolve_target
from ossc.targets.errors import TargetError

VERIFIED = {
    "device": "ran on such a machine",
    "emulated": "ran under emulation",
    "compiled": "compiled, never run",
}
"""How far a target was ever tried."""


@click.command("targets", cls=OsscCommand)
@click.argument("name", required=False)
@format_option
def command(name: str | None, form: str) -> None:
    """List the targets, or describe the target NAME.

    `cpu` stands for the best target that fits this machine.
    """
    chosen = [resolve_target(name)] if name else list(all_targets())
    if form == "json":
        click.echo(json.dumps([dataclasses.asdict(target) for target in chosen], indent=1))
    elif name:
        _print_fields(find_target(chosen[0].name))
    else:
        _print_table(chosen)


def _print_fields(target: Target) -> None:
    names = [f"{each.name} ({each.verified})" for each in target.host.instruction_sets]
    fields = dataclasses.asdict(target)
    parts = fields.pop("host") | fields.pop("device")
    fields |= parts | {"instruction_sets": ", ".join(names) or "only its own"}
    for key, value in fields.items():
        click.echo(f"{key:16} {value}")


def _print_table(targets: list[Target]) -> None:
    here = _this_machine()
    width = max(len(target.name) for target in targets)
    for target in targets:
        mark = "  (cpu: this machine)" if target.name == here else ""
        click.echo(f"{target.name:{width}}  {target.summary}{mark}")
        click.echo(f"{'':{width}}  {target.verified}: {VERIFIED[target.verified]}")
        for each in target.host.instruction_sets:
            click.echo(f"{'':{width}}  also {each.name}: {each.summary}")
            click.echo(f"{'':{width}}    {each.verified}: {VERIFIED[each.verified]}")


def _this_machine() -> str | None:
    try:
        return resolve_target("cpu").name
    except TargetError:
        return None
