"""What a user should know about a checkpoint that compiles: one sentence each, for stderr."""

from collections.abc import Iterator

from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.config import read_config_json
from ossc.compiler.families import find_family
from ossc.compiler.families.fields import tied_embeddings
from ossc.compiler.families.fields.config_fields import unknown_fields
from ossc.compiler.families.fields.stop_tokens import given_stop_token_ids
from ossc.runtimes.strict_json import shorten

MOST_NAMES = 8
"""Of unknown fields; what a note lists."""


def checkpoint_notes(checkpoint: Checkpoint) -> Iterator[str]:
    """Say what was understood where the files leave it open.

    Args:
        checkpoint: Checked by its family.

    Raises:
        ConfigError: A file has become unreadable since the checkpoint was opened.
    """
    yield from _unknown_fields(checkpoint)
    yield from find_family(checkpoint.config.model_type).notes(checkpoint)
    yield from tied_embeddings.notes(checkpoint)
    yield from _stop_tokens(checkpoint)


def _unknown_fields(checkpoint: Checkpoint) -> Iterator[str]:
    config = read_config_json(checkpoint.path)
    names = [shorten(name) for name in unknown_fields(config)]
    if names:
        listed = ", ".join(names[:MOST_NAMES]) + (", …" if len(names) > MOST_NAMES else "")
        yield (
            f"{config.source} has fields that ossc does not know and passes over: {listed}; check "
            "that none of them changes what the model computes."
        )


def _stop_tokens(checkpoint: Checkpoint) -> Iterator[str]:
    ids = checkpoint.config.eos_token_ids
    if not ids:
        yield (
            f"{checkpoint.path} names no token that ends an answer, so every answer will be as "
            "long as it may; add eos_token_id to generation_config.json."
        )
        return
    given = given_stop_token_ids(checkpoint.path, read_config_json(checkpoint.path))
    added = [id_ for id_ in ids if id_ not in given]
    if given and added:
        yield (
            f"Answers also end at the tokens {', '.join(map(str, added))}, which end an answer in "
            f"the harmony format of this tokenizer, besides the eos_token_id "
            f"{', '.join(map(str, given))}."
        )
