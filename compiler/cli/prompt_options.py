"""The options that give ``ossc run`` its prompt, and what they ask for."""

import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import click

from ossc.compiler.cli.input_text import checked_text, read_bytes, read_text
from ossc.compiler.cli.numbers import MAX_INT32
from ossc.runtimes.strict_json import shorten
from ossc.targets.errors import UsageError

EFFORTS = ("low", "medium", "high")
"""Reasoning efforts of gpt-oss."""

_SEPARATORS = re.compile(r"[ \t\r\n,]+")
_TOKEN_ID = re.compile(r"[0-9]+")

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class PromptOptions:
    """The options as they were given."""

    prompt: str | None = None
    file: str | None = None
    messages: str | None = None
    token_ids: str | None = None
    chat: bool = False
    system: str | None = None
    developer: str | None = None
    reasoning: str | None = None
    allow_control_tokens: bool = False


def take_prompt_options(given: dict[str, Any]) -> PromptOptions:
    """Take the options out of a command's parameters."""
    return PromptOptions(**{each.name: given.pop(each.name) for each in fields(PromptOptions)})


def prompt_options(function: _Function) -> _Function:
    """Add the options to a command, which takes the fields of :class:`PromptOptions`."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


_OPTIONS = (
    click.option("-p", "--prompt", metavar="TEXT", help="The prompt; - reads it from stdin."),
    click.option("-f", "--file", metavar="FILE", help="A file with the prompt, taken as it is."),
    click.option(
        "--messages",
        metavar="FILE",
        help='A conversation instead: JSON such as [{"role": "user", "content": "Hello"}]; - reads '
        "it from stdin. Implies --chat.",
    ),
    click.option(
        "--token-ids", metavar='"1 2 3"', help="The prompt as token ids instead; - reads stdin."
    ),
    click.option("--chat", is_flag=True, help="Put the prompt into the model's chat template."),
    click.option("--system", metavar="TEXT", help="The system message. Implies --chat."),
    click.option("--developer", metavar="TEXT", help="The developer message. Implies --chat."),
    click.option(
        "--reasoning",
        type=click.Choice(EFFORTS),
        help="How much the model thinks, where its chat template reads reasoning_effort. Implies "
        "--chat.",
    ),
    click.option(
        "--allow-control-tokens",
        is_flag=True,
        help="Let <|end|> and the like in a message's text act as the model's own control tokens, "
        "which can forge a turn; otherwise they are text.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be continued; one of token ids, text and messages."""

    token_ids: tuple[int, ...] | None = None
    text: str | None = None
    messages: tuple[dict[str, Any], ...] | None = None
    """A conversation from first to last."""
    template_arguments: dict[str, Any]
    """What else its chat template reads."""
    allow_control_tokens: bool

    @property
    def chat(self) -> bool:
        """Whether it goes through the chat template."""
        return self.messages is not None


def read_request(options: PromptOptions) -> Request:
    """Check the options, and read the files that they name.

    Raises:
        UsageError: They contradict each other, or a file or text is not what it has to be.
    """
    _check_sources(options)
    messages = None
    text = None
    if options.messages is not None:
        messages = _read_messages(options.messages)
    elif options.token_ids is None:
        text = _read_prompt(options)
    if text is not None and _implies_chat(options):
        messages, text = _compose(options, text), None
    arguments = {} if options.reasoning is None else {"reasoning_effort": options.reasoning}
    return Request(
        token_ids=None if options.token_ids is None else _read_token_ids(options.token_ids),
        text=text,
        messages=messages,
        template_arguments=arguments,
        allow_control_tokens=options.allow_control_tokens,
    )


def _chat_options(options: PromptOptions) -> list[str]:
    """Those of the options given that need the chat template."""
    given = {
        "--chat": options.chat,
        "--system": options.system is not None,
        "--developer": options.developer is not None,
        "--reasoning": options.reasoning is not None,
    }
    return [name for name, is_given in given.items() if is_given]


def _implies_chat(options: PromptOptions) -> bool:
    return bool(_chat_options(options))


def _check_sources(options: PromptOptions) -> None:
    sources = (options.prompt, options.file, options.messages, options.token_ids)
    if sum(source is not None for source in sources) != 1:
        raise UsageError(
            "Give the prompt in one way: -p TEXT, -f FILE, --messages FILE or --token-ids."
        )
    needing_text = _chat_options(options)
    if options.token_ids is not None and needing_text:
        raise UsageError(
            f"{needing_text[0]} is for a text that goes into the chat template; give it with -p "
            "or -f instead of --token-ids."
        )
    if options.messages is not None and (options.system, options.developer) != (None, None):
        raise UsageError(
            "--messages holds the whole conversation; put the system or developer message there."
        )
    if options.allow_control_tokens and not (needing_text or options.messages is not None):
        raise UsageError(
            "--allow-control-tokens is for messages of a chat; give --chat too, or leave it out."
        )


def _read_messages(name: str) -> tuple[dict[str, Any], ...]:
    from ossc.runtimes.chat_messages import parse_messages

    data, where = read_bytes(name)
    return tuple(dict(message) for message in parse_messages(data, where))


def _read_prompt(options: PromptOptions) -> str:
    if options.file is not None:
        return read_text(options.file)
    assert options.prompt is not None
    return read_text("-") if options.prompt == "-" else checked_text(options.prompt, "The prompt")


def _compose(options: PromptOptions, prompt: str) -> tuple[dict[str, Any], ...]:
    """The conversation that the options describe."""
    before = (("system", options.system), ("developer", options.developer))
    texts = [(role, checked_text(text, f"--{role}")) for role, text in before if text is not None]
    return tuple({"role": role, "content": text} for role, text in [*texts, ("user", prompt)])


def _read_token_ids(given: str) -> tuple[int, ...]:
    text = read_bytes("-")[0].decode("ascii", "replace") if given == "-" else given
    words = [word for word in _SEPARATORS.split(text) if word]
    if not words:
        raise UsageError("The prompt has no tokens; give at least one with --token-ids.")
    return tuple(map(_read_token_id, words))


def _read_token_id(word: str) -> int:
    digits = word.lstrip("0") or "0"
    if _TOKEN_ID.fullmatch(word) and len(digits) < 11 and int(digits) <= MAX_INT32:
        return int(digits)
    raise UsageError(
        f"--token-ids has {shorten(word)}; it has to be whole numbers separated by spaces."
    )
