"""``ossc verify``: a bundle's files, and its numbers."""

import sys
from pathlib import Path

import click

from ossc.compiler.cli.base import OsscCommand
from ossc.compiler.cli.progress import terminal_progress
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import Manifest


@click.command("verify", cls=OsscCommand)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--against",
    type=click.Path(path_type=Path),
    metavar="MODEL",
    help="Also compare its logits with the checkpoint's ONNX graph, run by onnxruntime.",
)
def command(bundle: Path, against: Path | None) -> None:
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
    click.echo(f"{len(manifest.files)} files, {total} bytes: every hash is as in the manifest.")
    if against is not None and not _compare(opened, against):
        sys.exit(1)


def _compare(bundle: Bundle, model: Path) -> bool:
    from ossc.compiler.verify import MAX_RELATIVE_DIFFERENCE, MIN_COSINE, verify_against

    result = verify_against(bundle, model)
    holds = result.holds
    click.echo(
        f"{len(result.same_experts)} positions: {result.rerouted} choose another expert than "
        f"onnxruntime, {result.following} follow one of these, which attention brings in, and "
        f"{result.compared} are judged."
    )
    click.echo(f"worst cosine of logits      {result.worst_cosine:.7f}")
    click.echo(f"worst relative difference   {result.worst_difference:.2e} of the largest logit")
    bound = (
        f"difference ≤ {MAX_RELATIVE_DIFFERENCE}"
        if result.activations == "f32"
        else f"cosine ≥ {MIN_COSINE}"
    )
    verdict = "holds" if holds else "DOES NOT HOLD"
    click.echo(f"with {result.activations} activations, {bound}: {verdict}")
    return holds
