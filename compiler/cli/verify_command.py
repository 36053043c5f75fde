"""``ossc verify``: a bundle's files, and its numbers."""

import sys
from pathlib import Path

import click

from ossc.compiler.cli.base import OsscCommand
from ossc.compiler.cli.progress import terminal_progress
from ossc.compiler.cli.session_options import device_option
from ossc.runtimes.bundle import Bundle, read_plan
from ossc.runtimes.manifest import Manifest

ORACLES = ("onnxruntime", "transformers")


@click.command("verify", cls=OsscCommand)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--against",
    metavar="MODEL",
    help="Also compare its logits with the checkpoint's ONNX graph, run by onnxruntime.",
)
@click.option(
    "--oracle",
    type=click.Choice(ORACLES),
    default="onnxruntime",
    show_default=True,
    help="transformers: also compare that graph, not quantized, with the model as transformers "
    "reads and runs it in float32; it has to fit in memory.",
)
@device_option
def command(bundle: Path, against: str | None, oracle: str, device: str | None) -> None:
    """Check every file of BUNDLE against the hashes in its manifest.

    With --against, the model is exported and quantized as the bundle was, and 32 fixed token ids
    are run on both sides: that covers all but the reading of the checkpoint, which both share.
    --oracle transformers covers the reading: nothing of ossc is on its side. Between the two
    comparisons lies the loss of the quantization, which `ossc evaluate` measures.

    Exit status: 0 it holds, 1 it does not, 3 it cannot be judged.
    """
    if against is None and oracle != "onnxruntime":
        raise click.UsageError("--oracle needs --against MODEL, the checkpoint to compare with.")
    if against is None and device is not None:
        raise click.UsageError("--device needs --against MODEL: without it nothing is run.")
    opened = _check_files(bundle)
    if against is None:
        return
    # The reading first: whether the model fits in memory is known at once.
    verdicts = [_compare_reading(opened, against)] if oracle == "transformers" else []
    verdicts.append(_compare(opened, against, device))
    if not all(verdicts):
        sys.exit(1)


def _check_files(path: Path) -> Bundle:
    manifest = Manifest.read(path)
    total = sum(entry.size_bytes for entry in manifest.files.values())
    with terminal_progress() as progress:
        progress.phase("Hashing files", total)
        opened = Bundle.open(
            path,
            hash_weights=True,
            only_listed=True,
            progress=lambda size_bytes: progress.advance("", size_bytes),
        )
    for each in manifest.memory.kv:
        read_plan(path, manifest, each)
    click.echo(f"{len(manifest.files)} files, {total} bytes: every hash is as in the manifest.")
    return opened


def _compare_reading(bundle: Bundle, model: str) -> bool:
    from ossc.compiler.verify import open_same_model
    from ossc.compiler.verify_reading import SHORTFALL, verify_reading

    checkpoint = open_same_model(bundle, model)
    with terminal_progress() as progress:
        result = verify_reading(checkpoint, progress)
    positions, compared = result.rotary_positions, result.comparison
    click.echo(
        f"{len(positions)} tokens at positions up to {positions[-1]}, the exported graph, not "
        f"quantized, against {result.oracle}, in float32"
        f"{' and with the same experts' if compared.routers else ''}:"
    )
    for field in result.read_otherwise or ("none",):
        click.echo(f"fields of config.json that transformers reads otherwise: {field}")
    rerouted = int((~compared.same_experts).sum())
    shortfall = f"{compared.shortfall.max():.2g} logits"
    difference = f"{compared.relative_difference.max():.2g} of the largest logit"
    if compared.routers:
        click.echo(f"tokens for which the graph would have chosen other experts: {rerouted}")
        click.echo(f"how far it prefers those, at most: {shortfall} (bound {SHORTFALL:g})")
    click.echo(
        f"largest difference: {difference} (bound {result.bounds[0]:.2g} to "
        f"{result.bounds[-1]:.2g} by position, of which at most {result.share_of_bound:.0%})"
    )
    click.echo("It holds." if result.holds else "IT DOES NOT HOLD.")
    return result.holds


def _compare(bundle: Bundle, model: str, device: str | None) -> bool:
    from ossc.compiler.verify import verify_against

    result = verify_against(bundle, model, device=device)
    bounds = result.bounds
    click.echo(
        f"{len(result.cosine)} tokens with {result.activations} activations, against onnxruntime "
        f"with float32 activations{' and the same experts' if result.routers else ''}:"
    )
    rerouted = int((~result.same_experts).sum())
    shortfall = f"{result.shortfall.max():.2g} logits"
    difference = f"{result.relative_difference.max():.2g} of the largest logit"
    if result.routers:
        click.echo(f"tokens for which it would have chosen other experts: {rerouted}")
        click.echo(f"how far it prefers those, at most: {shortfall} (bound {bounds.shortfall:g})")
    click.echo(f"smallest cosine: {result.cosine.min():.7f} (bound {bounds.cosine:g})")
    click.echo(f"largest difference: {difference} (bound {bounds.relative_difference:g})")
    click.echo("It holds." if result.holds else "IT DOES NOT HOLD.")
    return result.holds
