"""The tokens that end a generation, from wherever a checkpoint names them.

A list in generation_config.json comes first, then config.json's, then the tokenizer's
``eos_token``; null and an empty list say nothing. A tokenizer that speaks harmony (the format of
gpt-oss's answers) adds the tokens that end an answer there, which a fine-tune's list often lacks.
"""

from collections.abc import Callable
from pathlib import Path

from ossc.compiler.checkpoint.strict_json import JsonObject, read_json_object
from ossc.targets.errors import CheckpointError, ConfigError

MAX_CONFIG_BYTES = 16 << 20
"""Largest of these files that is believed; real ones are a few kilobytes."""

HARMONY_TOKENS = ("<|channel|>", "<|message|>")
"""A tokenizer that has both speaks harmony."""

HARMONY_STOPS = ("<|return|>", "<|endoftext|>", "<|call|>")
"""End of an answer, of a text, of a call of a tool, in the order of OpenAI's own checkpoints."""

FindToken = Callable[[str], int | None]
"""From a token's text to its id; None where the tokenizer has no such token."""


def read_stop_token_ids(checkpoint: Path, config: JsonObject) -> tuple[int, ...]:
    """Return the ids that end a generation, in their order, each once.

    Args:
        checkpoint: The folder.
        config: Its config.json.

    Raises:
        ConfigError: An id is none of the vocabulary, or a file is not valid.
        CheckpointError: tokenizer.json cannot be read.
    """
    given = given_stop_token_ids(checkpoint, config)
    find_token = _tokenizer(checkpoint, config.integer("vocab_size"))
    if not given:
        eos_token = _eos_token(checkpoint)
        eos_id = find_token(eos_token) if eos_token is not None else None
        given = () if eos_id is None else (eos_id,)
    if any(find_token(token) is None for token in HARMONY_TOKENS):
        return given
    ends = [find_token(token) for token in HARMONY_STOPS]
    return tuple(dict.fromkeys([*given, *(end for end in ends if end is not None)]))


def given_stop_token_ids(checkpoint: Path, config: JsonObject) -> tuple[int, ...]:
    """Return the ids that generation_config.json lists, or else config.json.

    Raises:
        ConfigError: An id is none of the vocabulary, or generation_config.json is not valid.
    """
    generation = _read_optional(checkpoint / "generation_config.json")
    sources = [config] if generation is None else [generation, config]
    return next((ids for source in sources if (ids := _ids(source, config))), ())


def _ids(source: JsonObject, config: JsonObject) -> tuple[int, ...]:
    if "eos_token_id" not in source:
        return ()
    given = source.fields["eos_token_id"]
    ids = given if type(given) is list else [given]
    vocab_size = config.integer("vocab_size")
    if any(type(id_) is not int or not 0 <= id_ < vocab_size for id_ in ids):
        source.fail(
            f"has the eos_token_id {given!r}, but the vocabulary has the ids 0 to {vocab_size - 1}"
        )
    return tuple(dict.fromkeys(ids))


def _eos_token(checkpoint: Path) -> str | None:
    """Return the text of the tokenizer's ``eos_token``, which may be an object that holds it."""
    settings = _read_optional(checkpoint / "tokenizer_config.json")
    if settings is None or "eos_token" not in settings:
        return None
    if isinstance(settings.fields["eos_token"], dict):
        return settings.section("eos_token").text("content")
    return settings.text("eos_token")


def _tokenizer(checkpoint: Path, vocab_size: int) -> FindToken:
    """Return the look-up of a checkpoint's tokens; without a tokenizer it finds none."""
    path = checkpoint / "tokenizer.json"
    if not path.is_file():
        return lambda _token: None
    from tokenizers import Tokenizer  # here, because a large one takes a second

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing narrower
        raise CheckpointError(
            f"{path} is not a tokenizer that can be read ({error}); download it again, or remove "
            "it to compile a model that takes token ids only."
        ) from error

    def find(token: str) -> int | None:
        token_id: int | None = tokenizer.token_to_id(token)
        return token_id if token_id is not None and token_id < vocab_size else None

    return find


def _read_optional(path: Path) -> JsonObject | None:
    """Read a JSON file that may be missing; a link to nothing is not passed over."""
    if not (path.is_symlink() or path.exists()):
        return None
    return read_json_object(path, ConfigError, max_bytes=MAX_CONFIG_BYTES)
