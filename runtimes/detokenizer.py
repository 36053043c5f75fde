"""Tokens to text as they come, with work that grows as the number of tokens does."""

import json
import re
from collections.abc import Iterator
from typing import Any

from tokenizers import Tokenizer

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""What the bytes of an unfinished character decode to: the longest beginning of one becomes one."""

_BYTE_TOKEN = re.compile(r"<0x[0-9A-Fa-f]{2}>")
"""A token that stands for a byte, in vocabularies with byte fallback."""

_WINDOW_LENGTH = 8
"""Tokens that are decoded together at most, before the older ones are forgotten."""

_KEPT_LENGTH = 4
"""Tokens that stay: the bytes of an unfinished character, at most three, and one before them."""


class TokenDecoder:
    """Decodes tokens, and knows which of them are no text, and which only text in company."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Look through a tokenizer."""
        self._tokenizer = tokenizer
        added = tokenizer.get_added_tokens_decoder()
        self._special = frozenset(id_ for id_, token in added.items() if token.special)
        self._has_bytes = "ByteFallback" in _decoder_types(tokenizer)

    def decode(self, token_ids: list[int]) -> str:
        """The text of tokens, without special ones."""
        return str(self._tokenizer.decode(token_ids))

    def is_text(self, token_id: int) -> bool:
        """Whether :meth:`decode` heeds a token: it is known, and not special."""
        return token_id not in self._special and self._tokenizer.id_to_token(token_id) is not None

    def is_byte(self, token_id: int) -> bool:
        """Whether a token stands for a byte.

        A run of such tokens is text when all of it is UTF-8; otherwise each is a replacement
        character.
        """
        return self._has_bytes and bool(
            _BYTE_TOKEN.fullmatch(self._tokenizer.id_to_token(token_id) or "")
        )


class Detokenizer:
    """Turns tokens into text as they come, never giving out half a character.

    What :meth:`push` and :meth:`finish` return together is the text of all tokens. Each token is
    decoded behind some that came before, because a tokenizer may decode one differently at the
    start of a text.
    """

    def __init__(self, decoder: TokenDecoder) -> None:
        """Begin an empty text."""
        self._decoder = decoder
        self._begin()

    def _begin(self) -> None:
        self._window: list[int] = []
        self._given_length = 0  # characters of the window's text that were given out
        self._bytes: list[int] = []  # behind the window; no text before their run ends

    def push(self, token_id: int) -> str:
        """Add a token; returns the characters that it completes."""
        if not self._decoder.is_text(token_id):
            return ""
        if self._decoder.is_byte(token_id):
            self._bytes.append(token_id)
            return ""
        self._window += [*self._bytes, token_id]
        self._bytes = []
        text = self._decoder.decode(self._window)
        piece = self._give(text, len(text) - text.endswith(_REPLACEMENT))
        if len(self._window) > _WINDOW_LENGTH:
            self._forget(text)
        return piece

    def finish(self) -> str:
        """End the text; returns what was held back."""
        text = self._decoder.decode([*self._window, *self._bytes])
        piece = self._give(text, len(text))
        self._begin()
        return piece

    def _give(self, text: str, length: int) -> str:
        piece = text[self._given_length : length]
        self._given_length = max(self._given_length, length)
        return piece

    def _forget(self, text: str) -> None:
        """Keep the last tokens; the end of their text is that of all, whatever their first does."""
        held_length = len(text) - self._given_length
        self._window = self._window[-_KEPT_LENGTH:]
        self._given_length = len(self._decoder.decode(self._window)) - held_length


def _decoder_types(tokenizer: Tokenizer) -> set[str]:
    if tokenizer.decoder is None:
        return set()
    return set(_types(json.loads(tokenizer.decoder.__getstate__())))


def _types(decoder: dict[str, Any]) -> Iterator[str]:
    yield decoder["type"]
    for each in decoder.get("decoders", ()):
        yield from _types(each)
