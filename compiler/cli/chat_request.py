"""A conversation becomes a prompt; what its chat template would leave out is refused."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ossc.compiler.cli.prompt_options import EFFORTS, Request
from ossc.runtimes.chat_template import ChatTemplate, Message
from ossc.runtimes.tokenizer import BundleTokenizer
from ossc.targets.errors import UsageError

_INSTRUCTIONS = ("system", "developer")
"""Roles whose messages a template may leave out, without a word."""


def encode_conversation(request: Request, tokenizer: BundleTokenizer) -> list[int]:
    """Return the token ids of a conversation, up to where the answer begins.

    Raises:
        UsageError: The chat template ignores the reasoning effort or an instruction.
        SessionError: The bundle has no chat template, or it refuses the messages.
    """
    assert request.messages is not None
    if tokenizer.chat_template is not None:
        now = tokenizer.chat_template.clock()  # one for all renderings that are compared
        template = replace(tokenizer.chat_template, clock=lambda: now)
        _check_reasoning(request, template)
        _check_instructions(request, template)
    return tokenizer.encode_chat(
        list(request.messages),
        allow_control_tokens=request.allow_control_tokens,
        **request.template_arguments,
    )


def _check_reasoning(request: Request, template: ChatTemplate) -> None:
    if not request.template_arguments:
        return
    assert request.messages is not None
    prompts = {
        template.render(list(request.messages), reasoning_effort=effort) for effort in EFFORTS
    }
    if len(prompts) == 1:
        raise UsageError(
            "The bundle's chat template does not read reasoning_effort, so --reasoning would "
            "change nothing; leave it out."
        )


def _check_instructions(request: Request, template: ChatTemplate) -> None:
    assert request.messages is not None
    messages = list(request.messages)
    for i, message in enumerate(messages):
        if message["role"] not in _INSTRUCTIONS:
            continue
        changed = [*messages[:i], _with_more(message), *messages[i + 1 :]]
        arguments = request.template_arguments
        if template.render(messages, **arguments) == template.render(changed, **arguments):
            raise UsageError(
                f"The bundle's chat template leaves out the {message['role']} message; give its "
                "text in another message."
            )


def _with_more(message: Message) -> Mapping[str, Any]:
    return {**message, "content": f"{message.get('content')} and more"}
