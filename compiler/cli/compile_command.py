"""``ossc compile``: a checkpoint becomes one bundle for each target."""

from pathlib import Path

import click

from ossc.compiler.cli.base import OsscCommand
from ossc.compiler.cli.progress import terminal_progress
from ossc.compiler.recipe import Recipe


@click.command("compile", cls=OsscCommand)
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--target",
    "targets",
    multiple=True,
    default=("cpu",),
    show_default="cpu, this machine",
    help="Machine to compile for, see `ossc targets`; give it again for more bundles.",
)
@click.option(
    "--quant",
    default="default",
    show_default=True,
    metavar="PRESET|PLAN.toml",
    help="Weight quantization: none, default, a scheme of `ossc schemes` for the experts, or a "
    "plan of your own.",
)
@click.option(
    "--context",
    type=int,
    metavar="TOKENS",
    help="Positions that a session can hold.  [default: 4096, or the model's if fewer]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="The bundle's folder; with several targets, the parent of one folder each.",
)
@click.option("--dry-run", is_flag=True, help="Only say what compiling and running will take.")
@click.option("--force", is_flag=True, help="Replace a bundle that is there already.")
def command(
    model: Path,
    targets: tuple[str, ...],
    quant: str,
    context: int | None,
    out: Path | None,
    dry_run: bool,
    force: bool,
) -> None:
    """Compile the checkpoint in the folder MODEL into a bundle.

    MODEL is a folder in Hugging Face's layout: config.json, *.safetensors, and tokenizer.json for
    text. The bundle's path is printed on stdout.

    \b
    ossc compile gpt-oss-20b --target cpu --dry-run     what it will take
    ossc compile gpt-oss-20b --target cpu --out bundle
    ossc compile gpt-oss-20b --target cpu:x86-64-v3 --target cpu:aarch64 --out bundles
    """  # noqa: D301 - click reads the character \b
    recipes = [
        Recipe(
            model=model,
            target=target,
            quant=quant,
            context=context,
            out=_place(out, target, len(targets)),
            force=force,
        )
        for target in targets
    ]
    if dry_run:
        from ossc.compiler.estimate import estimate

        click.echo("\n\n".join(str(estimate(recipe)) for recipe in recipes))
        return
    from ossc.compiler.pipeline import compile_model

    for recipe in recipes:
        with terminal_progress() as progress:
            click.echo(compile_model(recipe, progress))


def _place(out: Path | None, target: str, count: int) -> Path | None:
    if out is None or count == 1:
        return out
    from ossc.targets import resolve_target

    return out / resolve_target(target).name.replace(":", "-")
