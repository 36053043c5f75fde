"""``ossc run``: a prompt in, text or token ids out."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ossc.compiler.cli.base import OsscCommand, format_option
from ossc.compiler.cli.numbers import MAX_INT32, WholeNumber
from ossc.compiler.cli.prompt_options import (
    Request,
    prompt_options,
    read_request,
    take_prompt_options,
)
from ossc.compiler.cli.sampling_options import resolve_sampling, sampling_options
from ossc.compiler.cli.session_options import (
    device_option,
    kv_option,
    threads_option,
    weights_option,
)
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.weights_mode import WeightsMode

if TYPE_CHECKING:
    from ossc.compiler.cli.answer_printer import ChatPrinter, TextPrinter, TokenPrinter
    from ossc.runtimes.run_report import RunReport
    from ossc.runtimes.tokenizer import BundleTokenizer

MAX_NEW_TOKENS = 128
"""Where no number is given, and the prompt is no chat."""

INTERRUPTED = 130
"""Exit status after SIGINT: 128 and its number."""


@click.command("run", cls=OsscCommand)
@click.argument("bundle", type=click.Path(path_type=Path))
@prompt_options
@click.option(
    "--thinking",
    type=click.Choice(["show", "hide"]),
    default="show",
    show_default=True,
    help="With --chat, whether what a model says beside its answer is printed on stderr. JSON has "
    "it in any case.",
)
@click.option(
    "-n",
    "max_new_tokens",
    type=WholeNumber(1, MAX_INT32),
    metavar="N",
    help="Most tokens to generate, if no stop token comes first.  [default: 128; with --chat what "
    "the context holds]",
)
@sampling_options
@threads_option
@weights_option
@kv_option
@device_option
@click.option(
    "--list-devices",
    is_flag=True,
    help="Print what BUNDLE can run on here, and run nothing.",
)
@format_option
def command(
    bundle: Path,
    thinking: str,
    max_new_tokens: int | None,
    threads: int | None,
    weights: WeightsMode,
    kv: KvType | None,
    device: str | None,
    list_devices: bool,
    form: str,
    **given: Any,
) -> None:
    """Continue a prompt with BUNDLE, and print what comes as it comes.

    \b
    ossc run bundle -p "def main():" -n 64
    ossc run bundle --chat -p "Why is the sky blue?" --temp 0.7 --seed 1
    ossc run bundle --system "Answer in French." --reasoning low -f question.txt
    ossc run bundle --messages conversation.json --format json
    ossc run bundle --token-ids "1 2 3" --format json
    ossc run bundle --list-devices

    Decoding is greedy unless --temp or --sampling model is given. Timings go to stderr, or into the
    JSON. With --chat, so does what a model says on other channels than the final one (gpt-oss
    thinks on the channel analysis). An answer that was cut says so: finish_reason in the JSON, a
    sentence on stderr. Ctrl-C ends it with what came so far, and status 130. A bundle for another
    architecture runs under qemu where that is installed, and the output says so.
    """  # noqa: D301 - click reads the character \b
    if list_devices:
        _print_devices(bundle, form)
        return
    from ossc.runtimes.answer import read_answer
    from ossc.runtimes.bundle import Bundle
    from ossc.runtimes.run import run_bundle
    from ossc.runtimes.run_report import RunOptions
    from ossc.runtimes.tokenizer import TOKENIZER_NAME, BundleTokenizer

    request = read_request(take_prompt_options(given))
    manifest = Bundle.open(bundle).manifest  # its text files are read only when they are as listed
    sampling = resolve_sampling(given, bundle, manifest)
    tokenizer = None
    if request.token_ids is None or TOKENIZER_NAME in manifest.files:
        tokenizer = BundleTokenizer.open(bundle)
    ids = _encode(request, tokenizer)
    if max_new_tokens is None and not request.chat:
        max_new_tokens = MAX_NEW_TOKENS
    options = RunOptions(
        max_new_tokens=max_new_tokens,
        threads=threads,
        weights=weights,
        kv=kv,
        device=device,
        **sampling,
    )
    if form == "json":
        report = run_bundle(bundle, ids, options)
        answer = read_answer(tokenizer, report.token_ids, ids, chat=request.chat)
        click.echo(report.to_json(answer))
    else:
        printer = _printer(tokenizer, ids, request.chat, thinking == "show")
        report = run_bundle(bundle, ids, options, printer.push)
        printer.finish()
        _say(report)
    if report.interrupted:
        click.get_current_context().exit(INTERRUPTED)


def _print_devices(bundle: Path, form: str) -> None:
    from ossc.runtimes.devices import list_devices, to_json

    devices = list_devices(bundle)
    click.echo(to_json(devices) if form == "json" else "\n".join(map(str, devices)))


def _encode(request: Request, tokenizer: "BundleTokenizer | None") -> list[int]:
    if request.token_ids is not None:
        return list(request.token_ids)
    assert tokenizer is not None
    if request.text is not None:
        return tokenizer.encode(request.text)
    from ossc.compiler.cli.chat_request import encode_conversation

    return encode_conversation(request, tokenizer)


def _printer(
    tokenizer: "BundleTokenizer | None", prompt_ids: list[int], chat: bool, show_thinking: bool
) -> "TokenPrinter | TextPrinter | ChatPrinter":
    from ossc.compiler.cli.answer_printer import ChatPrinter, TextPrinter, TokenPrinter
    from ossc.runtimes.harmony import speaks_harmony

    if tokenizer is None:
        return TokenPrinter()
    if chat and speaks_harmony(tokenizer):
        return ChatPrinter(tokenizer, prompt_ids, show_thinking=show_thinking)
    return TextPrinter(tokenizer)


def _say(report: "RunReport") -> None:
    click.echo(str(report), err=True)
    if report.cut is not None:
        click.echo(report.cut, err=True)
