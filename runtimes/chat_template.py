"""Chat templates: messages become the text that a model was trained on.

Templates are Jinja programs that come with a checkpoint. They are rendered as transformers renders
them (``PreTrainedTokenizerBase.apply_chat_template``): in Jinja's sandbox and offline, with a clock
that the caller gives, because some print today's date.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn

import jinja2
from jinja2.ext import Extension, loopcontrols
from jinja2.nodes import Node
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ossc.targets.errors import SessionError

Message = Mapping[str, Any]
"""``{"role": "user", "content": "…"}`` and whatever else the template reads."""


class _GenerationTag(Extension):
    """``{% generation %}`` marks what an assistant says, for training; here it changes nothing."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's interface

    def parse(self, parser: Parser) -> Node | list[Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Jinja's own filter escapes HTML; templates expect plain JSON."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise_exception(message: str) -> NoReturn:
    raise jinja2.TemplateError(message)


@dataclass(frozen=True, kw_only=True)
class ChatTemplate:
    """A template, and what it can refer to."""

    source: str
    special_tokens: Mapping[str, str] = field(default_factory=dict)
    """``bos_token``, ``eos_token``, … by name."""
    clock: Callable[[], datetime] = datetime.now
    """Tells the time for ``strftime_now``."""

    def render(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = True,
        **template_arguments: Any,
    ) -> str:
        """Return the text of a conversation.

        Args:
            messages: From first to last.
            add_generation_prompt: Whether to end where the assistant's answer begins.
            template_arguments: What else the template reads, such as ``reasoning_effort="high"``.

        Raises:
            SessionError: The template is faulty, or refuses the messages.
        """
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, loopcontrols]
        )
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = lambda layout: self.clock().strftime(layout)
        try:
            return environment.from_string(self.source).render(
                messages=list(messages),
                tools=None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **{**self.special_tokens, **template_arguments},
            )
        except (jinja2.TemplateError, TypeError, ValueError, OverflowError) as error:
            raise SessionError(
                f"The chat template cannot render these messages ({error}); change them, or run "
                "without --chat."
            ) from error
