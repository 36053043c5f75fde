"""``ossc verify``: a bundle's files, and its numbers."""

import sys
from pathlib import Path

import click

from ossc.compiler.cli.base import OsscCommand
from ossc.compiler.cli.progress import terminal_progress
from ossc.runtimes.bundle import Bundle, read_plan
from ossc.runtimes.manifest import Manifest


@click.command("verify", cls=OsscCommand)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--against",
    metavar="MODEL",
    help="Also compare its logits with the checkpoint's ONNX graph, run by onnxruntime.",
)
def command(bundle: Path, against: str | None) -> None:
    """Check every file of BUNDLE against the hashes in its manifest.

    With --against, the model is exported and quantized as the bundle was, and 32 fixed token ids
    are run on both sides. Exit status: 0 it holds, 1 it does not, 3 it cannot be judged.
    """
    manifest = Manifest.read(bundle)
    total = sum(entry.size_bytes for entry in manifest.files.values())
    with terminal_progress() as progress:
        progress.phase("Hashing files", total)
        opened = Bundle.open(
            bundle,
            hash_weights=True,
            only_listed=True,
            progress=lambda size_bytes: progress.advance("", size_bytes),
        )
    for each in manifest.memory.kv:
        read_plan(bundle, manifest, each)
    click.echo(f"{len(manifest.files)} files, {total} bytes: every hash is as in the manifest.")
    if against is not None and not _compare(opened, against):
        sys.exit(1)


def _compare(bundle: Bundle, model: str) -> bool:
    from ossc.compiler.verify import verify_against

    result = verify_against(bundle, model)
    bounds = result.bounds
    click.echo(
        f"{len(result.cosine)} tokens with {result.activations} activations, against onnxruntime "
        "with float32 activations and the same experts:"
    )
    rerouted = int((~result.same_experts).sum())
    shortfall = f"{result.shortfall.max():.2g} logits"
    difference = f"{result.relative_difference.max():.2g} of the largest logit"
    click.echo(f"tokens for which it would have chosen other experts: {rerouted}")
    click.echo(f"how far it prefers those, at most: {shortfall} (bound {bounds.shortfall:g})")
    click.echo(f"smallest cosine: {result.cosine.min():.7f} (bound {bounds.cosine:g})")
    click.echo(f"largest difference: {difference} (bound {bounds.relative_difference:g})")
    click.echo("It holds." if result.holds else "IT DOES NOT HOLD.")
    return result.holds
