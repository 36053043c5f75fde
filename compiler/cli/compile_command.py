"""``ossc compile``: a checkpoint becomes one bundle for each target."""

from collections import Counter
from pathlib import Path

import click

from ossc.compiler.cli.base import OsscCommand
from ossc.compiler.cli.progress import terminal_progress
from ossc.compiler.recipe import Recipe
from ossc.targets import resolve_target
from ossc.targets.errors import UsageError


@click.command("compile", cls=OsscCommand)
@click.argument("model")
@click.option(
    "--target",
    "targets",
    multiple=True,
    default=("cpu",),
    metavar="TARGET",
    help="Machine to compile for, see `ossc targets`; give it again for more bundles.  "
    "[default: cpu, this machine]",
)
@click.option(
    "--quant",
    default="default",
    show_default=True,
    metavar="PRESET|PLAN.toml",
    help="Weight quantization: none, default, small, a scheme of `ossc schemes` for the "
    "experts, or a plan of your own.",
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
    help="The bundle's folder; with several targets, the parent of one folder each.  "
    "[default: MODEL's name and the target's, in the current folder]",
)
@click.option("--dry-run", is_flag=True, help="Only say what compiling and running will take.")
@click.option("--force", is_flag=True, help="Replace a bundle that is there already.")
def command(
    model: str,
    targets: tuple[str, ...],
    quant: str,
    context: int | None,
    out: Path | None,
    dry_run: bool,
    force: bool,
) -> None:
    """Compile the checkpoint MODEL into a bundle.

    MODEL is a folder in Hugging Face's layout (config.json, *.safetensors, and tokenizer.json for
    text), or org/name[@revision] of a model in the hub's local cache. The bundle's path is printed
    on stdout. The first compilation for a target takes a minute or two more, in which zig builds
    its C library.

    \b
    ossc compile gpt-oss-20b --target cpu --dry-run     what it will take
    ossc compile gpt-oss-20b --target cpu --out bundle
    ossc compile gpt-oss-20b --target cpu:x86-64-v3 --target cpu:aarch64 --out bundles
    """  # noqa: D301 - click reads the character \b
    places = _places(out, targets)
    recipes = [
        Recipe(model=model, target=target, quant=quant, context=context, out=place, force=force)
        for target, place in places.items()
    ]
    if dry_run:
        from ossc.compiler.estimate import estimate

        with terminal_progress() as progress:
            estimates = [estimate(recipe, progress) for recipe in recipes]
        click.echo("\n\n".join(map(str, estimates)))
        return
    from ossc.compiler.pipeline import check_recipe, compile_model

    for recipe in recipes:
        check_recipe(recipe)
    for recipe in recipes:
        with terminal_progress() as progress:
            bundle = compile_model(recipe, progress)
        click.echo(bundle)


def _places(out: Path | None, names: tuple[str, ...]) -> dict[str, Path | None]:
    """Return the place of each target's bundle, by the target's full name."""
    targets = [resolve_target(name).name for name in names]
    twice = [name for name, count in Counter(targets).items() if count > 1]
    if twice:
        raise UsageError(f"{twice[0]} is given twice as --target; give it once.")
    if out is None or len(targets) == 1:
        return dict.fromkeys(targets, out)
    return {target: out / target.replace(":", "-") for target in targets}
