"""``ossc schemes``: the formats in which weights are stored."""

import json

import click

from ossc.compiler.cli.base import OsscCommand, format_option


@click.command("schemes", cls=OsscCommand)
@click.argument("name", required=False)
@format_option
def command(name: str | None, form: str) -> None:
    """List the quantization schemes and presets, or describe the scheme NAME.

    A scheme is a format for one tensor; a preset gives each class of tensors a scheme. A scheme's
    name as a preset means: the experts in that scheme, the rest as in `default`.
    """
    from ossc.compiler.quantization import all_schemes, find_scheme
    from ossc.compiler.quantization.plan import presets

    schemes = [find_scheme(name)] if name else all_schemes()
    rows = [
        {
            "name": scheme.name,
            "bits_per_weight": scheme.bits,
            "group_size": scheme.group_size,
            "summary": scheme.summary,
        }
        for scheme in schemes
    ]
    if form == "json":
        click.echo(json.dumps(rows, indent=1))
        return
    for row in rows:
        click.echo("{name:10} {bits_per_weight:>6} bits a weight  {summary}".format(**row))
    if name is None:
        click.echo("\nPresets (--quant):")
        for preset in presets().values():
            classes = ", ".join(f"{key} {value}" for key, value in preset.schemes.items())
            click.echo(f"{preset.name:10} {classes}; activations {preset.activations}")
