"""An answer as text: what is meant for the user, and what the model said beside it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ossc.runtimes.harmony import (
    ANALYSIS_CHANNEL,
    FINAL_CHANNEL,
    Message,
    parse_harmony,
    speaks_harmony,
)
from ossc.runtimes.tokenizer import BundleTokenizer

MESSAGE_SEPARATOR = "\n"
"""Between messages on one channel."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The text of generated tokens."""

    text: str | None
    """Of a chat in harmony what is on the final channel; None without a tokenizer."""
    thinking: str | None = None
    """What is on the channel analysis; None without any."""
    channels: tuple[Message, ...] | None = None
    """Every message in order; None where the model does not speak harmony."""


def read_answer(
    tokenizer: BundleTokenizer | None,
    token_ids: Sequence[int],
    prompt_ids: Sequence[int] = (),
    *,
    chat: bool = True,
) -> Answer:
    """Read the tokens that a model answered with.

    Args:
        tokenizer: Of the model; None where the bundle has none.
        token_ids: The generated ones.
        prompt_ids: The prompt that they continue.
        chat: Whether the prompt is a conversation.
    """
    if tokenizer is None:
        return Answer(text=None)
    if not (chat and speaks_harmony(tokenizer)):
        return Answer(text=tokenizer.decode(token_ids))
    messages = parse_harmony(tokenizer, token_ids, prompt_ids)
    return Answer(
        text=_on_channel(messages, FINAL_CHANNEL) or "",
        thinking=_on_channel(messages, ANALYSIS_CHANNEL),
        channels=messages,
    )


def _on_channel(messages: Iterable[Message], channel: str) -> str | None:
    texts = [message.text for message in messages if message.channel == channel]
    return MESSAGE_SEPARATOR.join(texts) if texts else None
