"""Answers in harmony, gpt-oss's response format: messages with a header, each on a channel.

``<|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…<|return|>``:
the model thinks on one channel and answers on another. Source: OpenAI harmony response format.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ossc.runtimes.tokenizer import BundleTokenizer, Detokenizer

FINAL_CHANNEL = "final"
"""The channel that is meant for the user."""

_START_TOKEN = "<|start|>"
_CHANNEL_TOKEN = "<|channel|>"
_BODY_TOKEN = "<|message|>"
_END_TOKENS = ("<|end|>", "<|return|>", "<|call|>")


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some characters of a message."""

    channel: str
    text: str
    begins: bool
    """Whether the message begins here."""


def speaks_harmony(tokenizer: BundleTokenizer) -> bool:
    """Whether a tokenizer has the special tokens that separate header and message."""
    return all(tokenizer.token_id(token) is not None for token in (_CHANNEL_TOKEN, _BODY_TOKEN))


class HarmonyStream:
    """Turns the tokens of an answer into pieces of its messages as they come.

    Text before any header, as of a model that does not keep to the format, is on the final channel.
    """

    def __init__(self, tokenizer: BundleTokenizer) -> None:
        """Begin where the chat template left off: in a header, or in its message."""
        self._tokenizer = tokenizer
        self._start, self._name = (
            tokenizer.token_id(token) for token in (_START_TOKEN, _CHANNEL_TOKEN)
        )
        self._body = tokenizer.token_id(_BODY_TOKEN)
        self._ends = {tokenizer.token_id(token) for token in _END_TOKENS}
        self._channel = FINAL_CHANNEL
        self._in_header = False
        self._begins = True
        self._text: Detokenizer = tokenizer.stream()
        self._header = ""
        self._named = False  # whether the header is behind <|channel|>, and no role

    def push(self, token_id: int) -> Iterator[Piece]:
        """Add a token; yields the characters that it completes."""
        if token_id in (self._start, self._name):
            yield from self.finish()
            self._in_header, self._header = True, ""
            self._channel = FINAL_CHANNEL
            self._named = token_id == self._name
            self._text = self._tokenizer.stream()
        elif token_id == self._body:
            self._begin_message()
        elif token_id in self._ends:
            yield from self.finish()
        elif self._in_header:
            self._header += self._text.push(token_id)
        else:
            yield from self._piece(self._text.push(token_id))

    def _begin_message(self) -> None:
        words = (self._header + self._text.finish()).split()
        if self._named and words:  # "commentary to=functions.weather" is on commentary
            self._channel = words[0]
        self._in_header, self._begins = False, True
        self._text = self._tokenizer.stream()

    def finish(self) -> Iterator[Piece]:
        """End the message; yields what was held back of it."""
        text = self._text.finish()
        if not self._in_header:
            yield from self._piece(text)

    def _piece(self, text: str) -> Iterator[Piece]:
        if text:
            yield Piece(channel=self._channel, text=text, begins=self._begins)
            self._begins = False
