"""``ossc evaluate``: how well a bundle predicts a text."""

from pathlib import Path

import click

from ossc.compiler.cli.base import OsscCommand, format_option
from ossc.compiler.cli.progress import terminal_progress
from ossc.compiler.cli.session_options import device_option, kv_option, threads_option
from ossc.runtimes.kv_type import KvType


@click.command("evaluate", cls=OsscCommand)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option(
    "--text", required=True, type=click.Path(path_type=Path), metavar="FILE", help="UTF-8 text."
)
@click.option(
    "--against",
    metavar="MODEL",
    help="Also compare with the checkpoint's own logits, by onnxruntime on its exported ONNX.",
)
@threads_option
@kv_option
@device_option
@format_option
def command(
    bundle: Path,
    text: Path,
    against: str | None,
    threads: int | None,
    kv: KvType | None,
    device: str | None,
    form: str,
) -> None:
    """Measure the perplexity of BUNDLE on a text.

    With --against also how far it is from the original: KL divergence of the next token's
    distribution (nats), agreement on the likeliest token, and on the experts chosen in each layer.
    """
    from ossc.compiler.evaluate import evaluate

    with terminal_progress() as progress:
        result = evaluate(
            bundle,
            text,
            against=against,
            threads=threads,
            kv=kv,
            device=device,
            progress=progress,
        )
    if form == "json":
        click.echo(result.to_json())
        return
    click.echo(f"{'tokens':22} {result.tokens}")
    click.echo(f"{'perplexity':22} {result.perplexity:.4f}")
    if result.reference_perplexity is None:
        return
    click.echo(f"{'of the original':22} {result.reference_perplexity:.4f}")
    click.echo(
        f"{'KL divergence':22} mean {result.kl_mean:.6f}, median {result.kl_median:.6f}, "
        f"99th percentile {result.kl_p99:.6f}"
    )
    click.echo(f"{'cosine of logits':22} median {result.cosine_median:.6f}")
    click.echo(f"{'same likeliest token':22} {result.top1_agreement:.2%}")
    if result.router_agreement:
        shares = " ".join(f"{share:.1%}" for share in result.router_agreement)
        click.echo(f"{'same experts by layer':22} {shares}")
