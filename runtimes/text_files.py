"""The text files of a bundle or a checkpoint: the tokenizer, and the templates of its chats.

Source: ``PreTrainedTokenizerBase.from_pretrained`` and ``ProcessorMixin.get_processor_dict`` of
transformers for which file a template is taken from.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from ossc.runtimes.chat_template import ChatTemplate
from ossc.runtimes.git_lfs import POINTER_BEGINNING
from ossc.runtimes.model_sampling import GENERATION_CONFIG_NAME
from ossc.runtimes.strict_json import shorten
from ossc.targets.errors import OsscError

TOKENIZER_NAME = "tokenizer.json"
CONFIG_NAME = "tokenizer_config.json"
TEMPLATE_NAME = "chat_template.jinja"
TOOL_TEMPLATE_NAME = "chat_template.tool_use.jinja"
PROCESSOR_TEMPLATE_NAME = "chat_template.json"

TEXT_FILES = (
    TOKENIZER_NAME,
    CONFIG_NAME,
    TEMPLATE_NAME,
    TOOL_TEMPLATE_NAME,
    PROCESSOR_TEMPLATE_NAME,
    GENERATION_CONFIG_NAME,
)
"""What turns text into token ids and back, and says how the model is to be sampled; a bundle has
those that its checkpoint has."""

CHECKPOINT_PLACES = {TOOL_TEMPLATE_NAME: "additional_chat_templates/tool_use.jinja"}
"""Where a checkpoint has a file that is elsewhere in a bundle, which has no folders."""

DEFAULT_TEMPLATE = "default"
TOOL_TEMPLATE = "tool_use"
"""The template that is taken when there are tools."""

MAX_CONFIG_BYTES = 2**24


def read_tokenizer(path: Path, error: type[OsscError]) -> Tokenizer:
    """Read a tokenizer.json.

    Args:
        path: The file, which is there.
        error: What to raise.

    Raises:
        OsscError: ``error``, when it is no tokenizer.
    """
    try:
        with path.open("rb") as file:
            beginning = file.read(len(POINTER_BEGINNING))
    except OSError as reason:
        raise error(f"{path} cannot be read ({reason.strerror}); make it readable.") from reason
    if beginning == POINTER_BEGINNING:
        raise error(f"{path} {_POINTER}")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as reason:  # tokenizers raises this very class
        raise error(
            f"{path} is not a tokenizer that can be read ({reason}); download it again."
        ) from reason
    tokenizer.no_truncation()  # the file may bring both, and a prompt is neither cut nor filled up
    tokenizer.no_padding()
    return tokenizer


_POINTER = (
    "is a Git LFS pointer and not the file itself; run git lfs pull in the folder that it is from."
)


def read_templates(
    folder: Path, error: type[OsscError], clock: Callable[[], datetime] = datetime.now
) -> dict[str, ChatTemplate]:
    """Read the chat templates of a folder, by name; ``default`` is the one for plain chats.

    ``chat_template.jinja`` goes before what ``tokenizer_config.json`` says, and that before
    ``chat_template.json``, in which processors kept it.

    Args:
        folder: Of a bundle or a checkpoint.
        error: What to raise.
        clock: Tells the time to a template that prints it.

    Raises:
        OsscError: ``error``, when a file cannot be read or is not what it should be.
    """
    config = _read_config(folder / CONFIG_NAME, error)
    files = {DEFAULT_TEMPLATE: TEMPLATE_NAME, TOOL_TEMPLATE: TOOL_TEMPLATE_NAME}
    places = {name: find_text_file(folder, file) for name, file in files.items()}
    sources = {name: _read_text(place, error) for name, place in places.items() if place}
    if not sources:
        sources = _named_sources(config, folder / CONFIG_NAME, error)
    if not sources:
        path = folder / PROCESSOR_TEMPLATE_NAME
        sources = _named_sources(_read_config(path, error), path, error)
    tokens = {name: _token_text(value) for name, value in config.items() if _is_token_name(name)}
    special_tokens = {name: text for name, text in tokens.items() if text is not None}
    return {
        name: ChatTemplate(source=source, special_tokens=special_tokens, clock=clock)
        for name, source in sources.items()
    }


def find_text_file(folder: Path, name: str) -> Path | None:
    """Find a file of a bundle in its folder or in a checkpoint's; None where there is none."""
    places = (folder / name, folder / CHECKPOINT_PLACES.get(name, name))
    return next((place for place in places if place.is_file()), None)


def _read_text(path: Path, error: type[OsscError]) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as reason:
        raise error(f"{path} cannot be read ({reason.strerror}); make it readable.") from reason
    if len(data) > MAX_CONFIG_BYTES:
        raise error(
            f"{path} is larger than {MAX_CONFIG_BYTES} bytes, the most that is read of such a "
            "file; make it smaller, or remove it."
        )
    if data.startswith(POINTER_BEGINNING):
        raise error(f"{path} {_POINTER}")
    try:
        return data.decode().replace("\r\n", "\n").replace("\r", "\n")  # as a text file is read
    except UnicodeDecodeError as reason:
        raise error(f"{path} is not UTF-8 (at byte {reason.start}); save it as UTF-8.") from reason


def _read_config(path: Path, error: type[OsscError]) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        config = json.loads(_read_text(path, error))
    except RecursionError as reason:
        raise error(f"{path} is not valid JSON: it is nested too deeply.") from reason
    except ValueError as reason:
        raise error(f"{path} is not valid JSON ({reason}).") from reason
    if not isinstance(config, dict):
        raise error(f"{path} is not a JSON object.")
    return config


def _named_sources(config: Mapping[str, Any], path: Path, error: type[OsscError]) -> dict[str, str]:
    """The templates of a config: a text, or a list of objects with a name and a template."""
    value = config.get("chat_template")
    if value is None:
        return {}
    if isinstance(value, str):
        return {DEFAULT_TEMPLATE: value}
    entries = value if isinstance(value, list) else [value]
    sources = dict(_named_source(entry) for entry in entries)
    if None in sources:
        raise error(
            f"{path} gives 'chat_template' as {shorten(value)}, but it has to be a text, or a "
            "list of objects with name and template."
        )
    return {name: source for name, source in sources.items() if name is not None}


def _named_source(entry: Any) -> tuple[str | None, str]:
    if isinstance(entry, dict):
        name, source = entry.get("name"), entry.get("template")
        if isinstance(name, str) and isinstance(source, str):
            return name, source
    return None, ""


def _is_token_name(name: str) -> bool:
    return name.endswith("_token")


def _token_text(value: Any) -> str | None:
    """A special token is a text, or an object with the text as ``content``."""
    content = value.get("content") if isinstance(value, dict) else value
    return content if isinstance(content, str) else None
