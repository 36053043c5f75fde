"""Text to token ids and back, with the tokenizer and the chat template that a bundle brings."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from tokenizers import Tokenizer

from ossc.runtimes.chat_template import ChatTemplate, Message
from ossc.targets.errors import BundleError, SessionError

TOKENIZER_NAME = "tokenizer.json"
CONFIG_NAME = "tokenizer_config.json"
TEMPLATE_NAME = "chat_template.jinja"

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""What the bytes of an unfinished character decode to."""


class BundleTokenizer:
    """The tokenizer of a bundle."""

    def __init__(self, tokenizer: Tokenizer, chat_template: ChatTemplate | None) -> None:
        """Join a tokenizer and, where the model has one, its chat template."""
        self._tokenizer = tokenizer
        self.chat_template = chat_template

    @classmethod
    def open(cls, bundle: Path, clock: Callable[[], datetime] = datetime.now) -> Self:
        """Read a bundle's tokenizer.

        Args:
            bundle: Its directory; the files are those whose hashes the manifest lists.
            clock: Tells the time to a chat template that prints it.

        Raises:
            BundleError: There is none, or it cannot be read.
        """
        path = bundle / TOKENIZER_NAME
        if not path.is_file():
            raise BundleError(
                f"{bundle} has no {TOKENIZER_NAME}, because its checkpoint had none; give token "
                "ids with --token-ids, or compile a checkpoint with a tokenizer."
            )
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:
            raise BundleError(f"{path} is not a tokenizer that can be read ({error}).") from error
        return cls(tokenizer, _read_chat_template(bundle, clock))

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, with the special tokens that the tokenizer puts around it."""
        return list(self._tokenizer.encode(text).ids)

    def encode_chat(
        self,
        messages: Sequence[Message],
        *,
        allow_control_tokens: bool = False,  # noqa: ARG002
        **template_arguments: Any,
    ) -> list[int]:
        """Token ids of a conversation, up to where the answer begins.

        Args:
            messages: From first to last.
            allow_control_tokens: Whether text in a message can become a control token.
            template_arguments: What else the template reads, such as ``reasoning_effort="high"``.

        Raises:
            SessionError: The bundle has no chat template, or it refuses the messages.
        """
        if self.chat_template is None:
            raise SessionError(
                "The bundle has no chat template, because its checkpoint had none; run without "
                "--chat."
            )
        text = self.chat_template.render(messages, **template_arguments)
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids, without special tokens."""
        return str(self._tokenizer.decode(list(token_ids)))

    def token_id(self, token: str) -> int | None:
        """The id of a token, such as ``<|end|>``; None when the tokenizer has none of this name."""
        token_id = self._tokenizer.token_to_id(token)
        return None if token_id is None else int(token_id)

    def stream(self) -> "Detokenizer":
        """Begin a text whose tokens come one by one."""
        return Detokenizer(self)


class Detokenizer:
    """Turns tokens into text as they come, never giving out half a character.

    What :meth:`push` and :meth:`finish` return together is the text of all tokens.
    """

    def __init__(self, tokenizer: BundleTokenizer) -> None:
        """Begin an empty text."""
        self._tokenizer = tokenizer
        self._token_ids: list[int] = []
        # A tokenizer may decode a token differently at the start of a text, so each new piece is
        # decoded behind the one before it.
        self._context_begin = self._pending_begin = 0

    def push(self, token_id: int) -> str:
        """Add a token; returns the characters that it completes."""
        self._token_ids.append(token_id)
        piece = self._pending()
        if not piece or piece.endswith(_REPLACEMENT):
            return ""
        self._context_begin, self._pending_begin = self._pending_begin, len(self._token_ids)
        return piece

    def finish(self) -> str:
        """End the text; returns what was held back."""
        piece = self._pending()
        self._context_begin = self._pending_begin = len(self._token_ids)
        return piece

    def _pending(self) -> str:
        context = self._token_ids[self._context_begin : self._pending_begin]
        known = self._tokenizer.decode(context)
        return self._tokenizer.decode(self._token_ids[self._context_begin :])[len(known) :]


def _read_chat_template(bundle: Path, clock: Callable[[], datetime]) -> ChatTemplate | None:
    config = _read_config(bundle / CONFIG_NAME)
    path = bundle / TEMPLATE_NAME
    source = path.read_text(encoding="utf-8") if path.is_file() else _named_template(config)
    if source is None:
        return None
    tokens = {name: _token_text(value) for name, value in config.items() if _is_token_name(name)}
    special_tokens = {name: text for name, text in tokens.items() if text is not None}
    return ChatTemplate(source=source, special_tokens=special_tokens, clock=clock)


def _read_config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BundleError(f"{path} is not valid JSON ({error}).") from error
    if not isinstance(config, dict):
        raise BundleError(f"{path} is not a JSON object.")
    return config


def _named_template(config: dict[str, Any]) -> str | None:
    """The template of a config: a text, or the one named ``default`` of several."""
    template = config.get("chat_template")
    if isinstance(template, list):
        named = {each.get("name"): each.get("template") for each in template}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _is_token_name(name: str) -> bool:
    return name.endswith("_token")


def _token_text(value: Any) -> str | None:
    """A special token is a text, or an object with the text as ``content``."""
    content = value.get("content") if isinstance(value, dict) else value
    return content if isinstance(content, str) else None
