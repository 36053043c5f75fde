"""``ossc run``: a prompt in, text or token ids out."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ossc.compiler.cli.base import OsscCommand, format_option
from ossc.compiler.cli.session_options import kv_option, threads_option, weights_option
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.weights_mode import WeightsMode
from ossc.targets.errors import UsageError

if TYPE_CHECKING:
    from ossc.runtimes.harmony import Piece
    from ossc.runtimes.tokenizer import BundleTokenizer


@click.command("run", cls=OsscCommand)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("-p", "--prompt", metavar="TEXT", help="The prompt; needs the bundle's tokenizer.")
@click.option("--token-ids", metavar='"1 2 3"', help="The prompt as token ids instead.")
@click.option("--chat", is_flag=True, help="Put the prompt into the model's chat template.")
@click.option(
    "-n",
    "max_new_tokens",
    type=click.IntRange(1),
    default=128,
    show_default=True,
    metavar="N",
    help="Tokens to generate, if no stop token comes first.",
)
@click.option(
    "--temp",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    metavar="F",
    help="Temperature of sampling; 0 always takes the likeliest token.",
)
@click.option(
    "--top-p",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    show_default=True,
    metavar="F",
    help="Sample among the fewest tokens that have this probability together.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="N",
    help="Equal seeds sample equal tokens.",
)
@threads_option
@weights_option
@kv_option
@format_option
def command(
    bundle: Path,
    prompt: str | None,
    token_ids: str | None,
    chat: bool,
    max_new_tokens: int,
    temp: float,
    top_p: float,
    seed: int,
    threads: int | None,
    weights: WeightsMode,
    kv: KvType | None,
    form: str,
) -> None:
    """Continue a prompt with BUNDLE, and print what comes as it comes.

    \b
    ossc run bundle -p "def main():" -n 64
    ossc run bundle --chat -p "Why is the sky blue?" --temp 0.7 --seed 1
    ossc run bundle --token-ids "1 2 3" --format json

    Timings go to stderr, or into the JSON. With --chat, so does what a model says on other channels
    than the final one (gpt-oss thinks on the channel analysis). A bundle for another architecture
    runs under qemu where that is installed, and the output says so.
    """  # noqa: D301 - click reads the character \b
    from ossc.runtimes.harmony import HarmonyStream, speaks_harmony
    from ossc.runtimes.run import run_bundle
    from ossc.runtimes.run_report import RunOptions
    from ossc.runtimes.tokenizer import TOKENIZER_NAME, BundleTokenizer

    if (prompt is None) == (token_ids is None):
        raise UsageError("Give the prompt either as -p TEXT or as --token-ids, not both or none.")
    if chat and prompt is None:
        raise UsageError("--chat puts a text into the chat template; give it with -p.")
    manifest = Bundle.open(bundle).manifest  # its text files are read only when they are as listed
    tokenizer = None
    if prompt is not None or TOKENIZER_NAME in manifest.files:
        tokenizer = BundleTokenizer.open(bundle)
    ids = _prompt_ids(prompt, token_ids, chat, tokenizer)
    options = RunOptions(
        max_new_tokens=max_new_tokens,
        temperature=temp,
        top_p=top_p,
        seed=seed,
        threads=threads,
        weights=weights,
        kv=kv,
    )
    if form == "json":
        report = run_bundle(bundle, ids, options)
        text = tokenizer.decode(report.token_ids) if tokenizer is not None else None
        click.echo(report.to_json(text))
        return
    if tokenizer is None:
        report = run_bundle(bundle, ids, options, _show_token_id)
        click.echo("")
    elif chat and speaks_harmony(tokenizer):
        messages = HarmonyStream(tokenizer)
        report = run_bundle(bundle, ids, options, lambda token_id: _show(messages.push(token_id)))
        _show(messages.finish())
        click.echo("")
    else:
        stream = tokenizer.stream()
        report = run_bundle(bundle, ids, options, _show_text(stream.push))
        click.echo(stream.finish())
    click.echo(str(report), err=True)


def _prompt_ids(
    prompt: str | None, token_ids: str | None, chat: bool, tokenizer: "BundleTokenizer | None"
) -> list[int]:
    if token_ids is not None:
        try:
            return [int(word) for word in token_ids.replace(",", " ").split()]
        except ValueError as error:
            raise UsageError(
                f"--token-ids is {token_ids!r}; give whole numbers between blanks."
            ) from error
    assert prompt is not None
    assert tokenizer is not None
    if chat:
        return tokenizer.encode_chat([{"role": "user", "content": prompt}])
    return tokenizer.encode(prompt)


def _show(pieces: Iterable["Piece"]) -> None:
    """Print the answer; what the model says on other channels goes to stderr."""
    from ossc.runtimes.harmony import FINAL_CHANNEL

    for piece in pieces:
        if piece.channel == FINAL_CHANNEL:
            click.echo(piece.text, nl=False)
        else:
            title = f"\n[{piece.channel}] " if piece.begins else ""
            click.secho(f"{title}{piece.text}", nl=False, err=True, dim=True)


def _show_text(push: Callable[[int], str]) -> Callable[[int], None]:
    return lambda token_id: click.echo(push(token_id), nl=False)


def _show_token_id(token_id: int) -> None:
    click.echo(f"{token_id} ", nl=False)
