"""Chat templates: messages become the text that a model was trained on.

Templates are Jinja programs that come with a checkpoint. They are rendered as transformers renders
them (``PreTrainedTokenizerBase.apply_chat_template``): in Jinja's sandbox and offline, with a clock
that the caller gives, because some print today's date; and with bounds on what they use up.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from types import CodeType
from typing import Any

import jinja2
from jinja2 import nodes

from ossc.runtimes.template_environment import (
    TEMPLATE_SYNTAX,
    TemplateEnvironment,
    TemplateRefusalError,
)
from ossc.runtimes.template_limits import Budget, TemplateLimitError, TemplateLimits
from ossc.targets.errors import SessionError

Message = Mapping[str, Any]
"""``{"role": "user", "content": "…"}`` and whatever else the template reads."""

_REASONING_FIELDS = ("reasoning_content", "thinking", "reasoning")
"""Names that a message's reasoning goes by; templates read one of the first two."""


@dataclass(frozen=True, kw_only=True)
class ChatTemplate:
    """A template, and what it can refer to."""

    source: str
    special_tokens: Mapping[str, str] = field(default_factory=dict)
    """``bos_token``, ``eos_token``, … by name."""
    clock: Callable[[], datetime] = datetime.now
    """Tells the time for ``strftime_now``."""
    limits: TemplateLimits = field(default_factory=TemplateLimits)

    def render(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = True,
        **arguments: Any,
    ) -> str:
        """Return the text of a conversation.

        Args:
            messages: From first to last.
            add_generation_prompt: Whether to end where the assistant's answer begins.
            arguments: What else the template may refer to, such as ``tools``,
                ``reasoning_effort``, ``model_identity``.

        Raises:
            SessionError: The messages are no JSON values; or the template refuses them (the cause
                is a `TemplateRefusalError`), is faulty, or takes more than its limits.
        """
        try:
            variables = {
                "tools": None,
                "documents": None,
                **self.special_tokens,
                **_plain(arguments, "the template's arguments"),
                "messages": [_with_reasoning(_plain(each, "the messages")) for each in messages],
                "add_generation_prompt": add_generation_prompt,
            }
        except RecursionError as error:
            raise SessionError(
                "The messages are nested too deeply for a chat template; give flatter ones."
            ) from error
        return self._render(variables)

    def _render(self, variables: Mapping[str, Any]) -> str:
        try:
            code = _compiled(self.source, self.limits)
            budget = Budget(limits=self.limits, source_characters=len(self.source))
            budget.know(variables)
            environment = TemplateEnvironment(budget, self.clock)
            names = environment.make_globals(None)
            template = environment.template_class.from_code(environment, code, names)
            return environment.concat(template.generate(variables))
        except TemplateRefusalError as error:
            raise SessionError(
                f"The chat template refuses these messages ({_brief(error)}); change them, or run "
                "without --chat."
            ) from error
        except TemplateLimitError as error:
            raise SessionError(
                f"The chat template cannot be used: {error}; give fewer or shorter messages, or "
                "run without --chat."
            ) from error
        except Exception as error:
            # The template is a foreign program: what it raises is not known, and is its fault.
            raise SessionError(
                f"The chat template cannot render these messages ({_brief(error)}); change them, "
                "or run without --chat."
            ) from error

    def at_this_moment(self) -> "ChatTemplate":
        """The template with its clock stopped, for renderings that are to agree."""
        now = self.clock()
        return replace(self, clock=lambda: now)

    def written_only(self, texts: Iterable[str]) -> set[str]:
        """Those of some texts that the template writes and never looks for in a message.

        It looks for what it compares, and for what it gives to methods, filters and tests.
        """
        try:
            tree = jinja2.Environment(extensions=TEMPLATE_SYNTAX).parse(self.source)
        except (jinja2.TemplateError, RecursionError):
            return set()  # rendering it says what is wrong
        written = [node.data for node in tree.find_all(nodes.TemplateData)]
        written += _constants(tree)
        sought = [text for node in _seeking(tree) for text in _constants(node)]
        return {
            text for text in texts
            if any(text in each for each in written) and not any(text in each for each in sought)
        }  # fmt: skip


@lru_cache(maxsize=8)
def _compiled(source: str, limits: TemplateLimits) -> CodeType:
    budget = Budget(limits=limits, source_characters=len(source))
    return TemplateEnvironment(budget, datetime.now).compile(source)


def _seeking(tree: nodes.Template) -> Iterator[nodes.Node]:
    yield from tree.find_all(nodes.Compare)
    for filtering in tree.find_all((nodes.Filter, nodes.Test)):
        yield from filtering.iter_child_nodes(exclude=("node",))
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Getattr):
            yield from call.args


def _constants(node: nodes.Node) -> list[str]:
    found = [*node.find_all(nodes.Const)]
    if isinstance(node, nodes.Const):
        found.append(node)
    return [constant.value for constant in found if isinstance(constant.value, str)]


def check_unicode(text: str) -> None:
    """Refuse a text with half of a surrogate pair, as Python makes of bytes that are no UTF-8.

    Raises:
        SessionError: It has one.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise SessionError(
            f"The text is not valid Unicode at character {error.start}; give it as UTF-8."
        ) from error


def _plain(value: Any, where: str) -> Any:
    """A copy made of JSON's types only, whose methods the sandbox knows."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        check_unicode(value)
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {_plain(name, where): _plain(each, where) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each, where) for each in value]
    raise SessionError(
        f"In {where} is a value of type {type(value).__name__}; give texts, numbers, lists and "
        "objects, as in JSON."
    )


def _with_reasoning(message: Any) -> dict[str, Any]:
    """A message with its reasoning under the names that templates read; null is left out."""
    if not isinstance(message, dict):
        raise SessionError(
            f"A message is of type {type(message).__name__}, but has to be an object with role "
            "and content."
        )
    fields = {name: value for name, value in message.items() if value is not None}
    reasoning = next((fields[name] for name in _REASONING_FIELDS if name in fields), None)
    if reasoning is None:
        return fields
    return {"thinking": reasoning, **fields, "reasoning_content": reasoning}


def _brief(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if len(text) <= 300 else f"{text[:299]}…"
