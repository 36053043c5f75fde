"""Conversations as JSON: a list of messages, as chat templates read them."""

from collections.abc import Sequence
from typing import Any, NoReturn

from ossc.runtimes.chat_template import Message
from ossc.runtimes.strict_json import parse_json, shorten
from ossc.targets.errors import UsageError


def parse_messages(data: bytes, where: str) -> list[Message]:
    """Read messages, each with a role, and with a text unless it calls tools.

    Args:
        data: JSON such as ``[{"role": "user", "content": "Hello"}]``; what else a message has is
            kept for the chat template.
        where: What messages of errors call the data.

    Raises:
        UsageError: They are anything else.
    """
    try:
        value = parse_json(data)
    except ValueError as error:
        raise UsageError(f"{where} {error}; give a JSON list of messages.") from error
    if not isinstance(value, list) or not value:
        raise UsageError(
            f"{where} has to hold a JSON list with a message at least, but holds {shorten(value)}."
        )
    for i, message in enumerate(value):
        _check(message, f"Message {i} of {where}")
    return value


def _check(message: Any, name: str) -> None:
    if not isinstance(message, dict):
        _fail(name, f"is {shorten(message)}", "give an object with role and content")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or not role:
        _fail(name, f"has {shorten(role)} for its role", "give a text such as 'user'")
    if content is None and isinstance(message.get("tool_calls"), Sequence):
        return
    if not isinstance(content, str):
        _fail(name, f"has {shorten(content)} for its content", "give a text")


def _fail(name: str, fault: str, hint: str) -> NoReturn:
    raise UsageError(f"{name} {fault}; {hint}.")
