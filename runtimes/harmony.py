"""Answers in harmony, gpt-oss's response format: messages with a header, each on a channel.

``<|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…<|return|>``:
the model thinks on one channel and answers on another. Source: OpenAI harmony response format.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ossc.runtimes.harmony_header import Header
from ossc.runtimes.tokenizer import BundleTokenizer, Detokenizer

FINAL_CHANNEL = "final"
"""The channel that is meant for the user."""

ANALYSIS_CHANNEL = "analysis"
"""The channel that the model thinks on."""

_START_TOKEN = "<|start|>"
_CHANNEL_TOKEN = "<|channel|>"
_BODY_TOKEN = "<|message|>"
_END_TOKENS = ("<|end|>", "<|return|>", "<|call|>")


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message of an answer."""

    channel: str | None
    """None: words outside any message, beside a header."""
    text: str
    recipient: str | None = None
    """Whom a call is for, such as ``functions.weather``."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Some characters of a message."""

    channel: str | None
    text: str
    begins: bool
    """Whether the message begins here."""
    recipient: str | None = None


def speaks_harmony(tokenizer: BundleTokenizer) -> bool:
    """Whether a tokenizer has the special tokens that separate header and message."""
    return all(tokenizer.token_id(token) is not None for token in (_CHANNEL_TOKEN, _BODY_TOKEN))


def parse_harmony(
    tokenizer: BundleTokenizer, token_ids: Sequence[int], prompt_ids: Sequence[int] = ()
) -> tuple[Message, ...]:
    """Return the messages of a whole answer, in order.

    Args:
        tokenizer: Of the model.
        token_ids: The answer.
        prompt_ids: The prompt that it continues; the answer may begin in one of its messages.
    """
    stream = HarmonyStream(tokenizer, prompt_ids)
    messages: list[Message] = []
    for piece in [*(each for id_ in token_ids for each in stream.push(id_)), *stream.finish()]:
        before = "" if piece.begins else messages.pop().text
        text = before + piece.text
        messages.append(Message(channel=piece.channel, text=text, recipient=piece.recipient))
    return tuple(messages)


class HarmonyStream:
    """Turns the tokens of an answer into pieces of its messages as they come.

    1. ``<|message|>`` ends a header; what follows is on the header's channel, and on the final one
       where the header names none.
    2. A header with a channel that is cut short, by another one or by an end, is a header as far as
       it goes; the words that are left are a message on that channel.
    3. Words outside header and message that another header follows are a message without a channel.
       At the end they are the answer, where it has no message on the final channel. They come when
       that is known.
    """

    def __init__(self, tokenizer: BundleTokenizer, prompt_ids: Sequence[int] = ()) -> None:
        """Begin where the prompt leaves off: in a header, in its message, or outside both.

        Args:
            tokenizer: Of the model.
            prompt_ids: The prompt; none stands for one that ends with ``<|start|>assistant``.
        """
        self._tokenizer = tokenizer
        self._start, self._name, self._body = (
            tokenizer.token_id(token) for token in (_START_TOKEN, _CHANNEL_TOKEN, _BODY_TOKEN)
        )
        self._ends = {tokenizer.token_id(token) for token in _END_TOKENS}
        self._text: Detokenizer = tokenizer.stream()
        self._header: Header | None = None if prompt_ids else Header("assistant")
        self._message: Message | None = None
        self._begins = True
        self._outside: list[str] = []
        self._has_final = False
        self._follow(prompt_ids)

    def _follow(self, prompt_ids: Sequence[int]) -> None:
        """Take the state that the prompt's last message leaves."""
        starts = (i for i in reversed(range(len(prompt_ids))) if prompt_ids[i] == self._start)
        for token_id in prompt_ids[next(starts, len(prompt_ids)) :]:
            for _ in self.push(token_id):
                pass  # the prompt's words are not the answer's
        self._text = self._tokenizer.stream()
        self._begins, self._has_final = True, False
        self._outside.clear()

    def push(self, token_id: int) -> Iterator[Piece]:
        """Add a token; yields the characters that it completes."""
        if token_id == self._start:
            yield from self._close()
            self._header = Header()
        elif token_id == self._name:
            yield from self._open_channel()
        elif token_id == self._body:
            yield from self._open_message()
        elif token_id in self._ends:
            yield from self._close()
        else:
            yield from self._put(self._text.push(token_id))

    def finish(self) -> Iterator[Piece]:
        """End the answer; yields what was held back of it."""
        yield from self._close()
        yield from self._give_outside(None if self._has_final else FINAL_CHANNEL)

    def _open_channel(self) -> Iterator[Piece]:
        """Go on from a header's role to its channel."""
        role = self._header
        recipient = None if role is None or role.has_channel else role.recipient
        yield from self._close()
        yield from self._give_outside(None)
        self._header = Header(has_channel=True, recipient=recipient)

    def _open_message(self) -> Iterator[Piece]:
        header = self._header
        if self._message is not None:
            return  # in a message it says nothing
        if header is not None and header.has_channel:
            header.add(self._text.finish())
            self._header = None  # all of it is a header, whatever it says
        yield from self._close()
        yield from self._give_outside(None)
        channel = header.named_channel if header else None
        recipient = header.recipient if header else None
        self._open(channel or FINAL_CHANNEL, recipient)

    def _open(self, channel: str, recipient: str | None) -> None:
        self._message = Message(channel=channel, text="", recipient=recipient)
        self._has_final = self._has_final or channel == FINAL_CHANNEL

    def _put(self, text: str) -> Iterator[Piece]:
        if self._header is not None:
            self._header.add(text)
        elif self._message is not None and text:
            yield self._piece(self._message, text)
        elif self._message is None:
            self._outside.append(text)

    def _close(self) -> Iterator[Piece]:
        """End header or message, whichever is open."""
        yield from self._put(self._text.finish())
        header, self._header = self._header, None
        rest = header.rest if header is not None else ""
        if header is not None and header.has_channel and rest:
            self._open(header.channel or FINAL_CHANNEL, header.recipient)
            yield from self._put(rest)
        elif header is not None and not header.has_channel:
            self._outside.append(rest)
        message, self._message = self._message, None
        if message is not None and message.recipient and self._begins:
            yield self._piece(message, "")  # a call without arguments is a call
        self._text = self._tokenizer.stream()
        self._begins = True

    def _give_outside(self, channel: str | None) -> Iterator[Piece]:
        text = "".join(self._outside)
        self._outside.clear()
        if text.strip():
            yield Piece(channel=channel, text=text, begins=True)

    def _piece(self, message: Message, text: str) -> Piece:
        begins, self._begins = self._begins, False
        return Piece(channel=message.channel, text=text, begins=begins, recipient=message.recipient)
