"""Renders the chat templates of a folder once: ``python -m ossc.runtimes.try_templates FOLDER``.

It is a program of its own, so that a template can neither hold up nor fill up the one that asks.
"""

import resource
import sys
from pathlib import Path

from ossc.runtimes.chat_template import ChatTemplate
from ossc.runtimes.template_environment import TemplateRefusalError
from ossc.runtimes.text_files import read_templates
from ossc.targets.errors import CheckpointError, SessionError

MAX_MEMORY_BYTES = 2**32
"""Address space, of which most is libraries and the stacks of threads."""

MAX_CPU_SECONDS = 60

_CONTENTS = ("Hello", [{"type": "text", "text": "Hello"}])
"""What the user says, as a text and in parts; some templates take only one of them."""


def fault(template: ChatTemplate) -> str | None:
    """What is wrong with a template; None when it renders, or refuses the messages itself."""
    faults: list[str] = []
    for content in _CONTENTS:
        try:
            template.render([{"role": "user", "content": content}])
        except SessionError as error:
            if isinstance(error.__cause__, TemplateRefusalError):
                return None
            faults.append(f"{error.__cause__ or error}")
        else:
            return None
    return faults[0]


def main(folder: Path) -> int:
    """Print what is wrong with the templates of a folder; returns the exit status."""
    _lower_limit(resource.RLIMIT_AS, MAX_MEMORY_BYTES)
    _lower_limit(resource.RLIMIT_CPU, MAX_CPU_SECONDS)
    for template in read_templates(folder, CheckpointError).values():
        found = fault(template)
        if found is not None:
            print(found)
            return 1
    return 0


def _lower_limit(kind: int, limit: int) -> None:
    _, hard = resource.getrlimit(kind)
    limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
    resource.setrlimit(kind, (limit, hard))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
