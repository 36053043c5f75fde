"""Text to token ids and back, with the tokenizer and the chat template that a bundle brings."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from tokenizers import Tokenizer

from ossc.runtimes.chat_template import ChatTemplate, Message, check_unicode
from ossc.runtimes.control_tokens import ChatEncoder
from ossc.runtimes.detokenizer import Detokenizer, TokenDecoder
from ossc.runtimes.text_files import (
    DEFAULT_TEMPLATE,
    TOKENIZER_NAME,
    TOOL_TEMPLATE,
    read_templates,
    read_tokenizer,
)
from ossc.targets.errors import BundleError, SessionError

__all__ = ["TOKENIZER_NAME", "BundleTokenizer", "Detokenizer"]


class BundleTokenizer:
    """The tokenizer of a bundle."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        chat_template: ChatTemplate | None = None,
        tool_template: ChatTemplate | None = None,
    ) -> None:
        """Join a tokenizer and, where the model has them, its chat templates.

        Args:
            tokenizer: Stays as it is.
            chat_template: For chats.
            tool_template: For chats with tools, where that is another one.
        """
        self._tokenizer = tokenizer
        self._decoder = TokenDecoder(tokenizer)
        self.chat_template = chat_template
        self.tool_template = tool_template or chat_template
        self._encoders: dict[str, ChatEncoder] = {}

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
                "ids to ossc run with --token-ids, or compile a checkpoint with a tokenizer."
            )
        tokenizer = read_tokenizer(path, BundleError)
        templates = read_templates(bundle, BundleError, clock)
        return cls(tokenizer, templates.get(DEFAULT_TEMPLATE), templates.get(TOOL_TEMPLATE))

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, with the special tokens that the tokenizer puts around it.

        Raises:
            SessionError: The text has half of a surrogate pair, so it is no Unicode text.
        """
        check_unicode(text)
        return list(self._tokenizer.encode(text).ids)

    def encode_chat(
        self,
        messages: Sequence[Message],
        *,
        allow_control_tokens: bool = False,
        **template_arguments: Any,
    ) -> list[int]:
        """Token ids of a conversation, up to where the answer begins.

        Args:
            messages: From first to last. Their reasoning may be called ``reasoning``,
                ``reasoning_content`` or ``thinking``.
            allow_control_tokens: Whether text in messages and arguments that reads like a control
                token becomes one; else it stays text.
            template_arguments: What else the template may refer to, such as ``tools`` or
                ``reasoning_effort``. With tools, the template ``tool_use`` is taken if there is
                one.

        Raises:
            SessionError: The bundle has no chat template, or it refuses the messages.
        """
        has_tools = template_arguments.get("tools") is not None
        template = self.tool_template if has_tools else self.chat_template
        if template is None:
            raise SessionError(
                "The bundle has no chat template, because its checkpoint had none; run without "
                "--chat."
            )
        if allow_control_tokens:
            text = template.render(messages, **template_arguments)
            return list(self._tokenizer.encode(text, add_special_tokens=False).ids)
        if template.source not in self._encoders:
            self._encoders[template.source] = ChatEncoder(self._tokenizer, template)
        return self._encoders[template.source].encode(messages, template_arguments)

    def decode(self, token_ids: Sequence[int]) -> str:
        """The text of token ids, without special tokens."""
        return self._decoder.decode(list(token_ids))

    def token_id(self, token: str) -> int | None:
        """The id of a token, such as ``<|end|>``; None when the tokenizer has none of this name."""
        token_id = self._tokenizer.token_to_id(token)
        return None if token_id is None else int(token_id)

    def stream(self) -> Detokenizer:
        """Begin a text whose tokens come one by one."""
        return Detokenizer(self._decoder)
