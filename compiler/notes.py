"""What a user should know about a checkpoint that compiles: one sentence each, for stderr."""

from collections.abc import Iterator

from ossc.compiler.families.fields.stop_tokens import given_stop_token_ids
from ossc.compiler.families.fields.tied_embeddings import NAMES
from ossc.compiler.families.source_model import SourceModel
from ossc.runtimes.strict_json import shorten

MOST_NAMES = 8
"""Of unknown fields; what a note lists."""


def checkpoint_notes(model: SourceModel) -> Iterator[str]:
    """Say what was understood where the files leave it open.

    Raises:
        OsscError: A file has become unreadable since the checkpoint was opened, or its tensors are
            not what they should be.
    """
    yield from _unknown_fields(model)
    yield from _storage(model)
    yield from _tied_embeddings(model)
    yield from _stop_tokens(model)


def _unknown_fields(model: SourceModel) -> Iterator[str]:
    names = [shorten(name) for name in model.family.fields.unknown(model.json)]
    if names:
        listed = ", ".join(names[:MOST_NAMES]) + (", …" if len(names) > MOST_NAMES else "")
        yield (
            f"{model.json.source} has fields that ossc does not know and passes over: {listed}; "
            "check that none of them changes what the model computes."
        )


def _storage(model: SourceModel) -> Iterator[str]:
    """Say where the tensors decided against config.json."""
    method, stored = model.quant_method, sorted(model.quantized_forms(model.weights))
    if method is not None and not stored:
        yield (
            f"{model.json.source} has a quantization_config with the quant_method {method!r}, but "
            "no tensor is quantized; the tensors are read as they are."
        )
    if method is None and stored:
        yield (
            f"{model.json.source} has no quantization_config, but weights are stored as "
            f"{' and '.join(stored)}; they are read as such."
        )


def _tied_embeddings(model: SourceModel) -> Iterator[str]:
    """Say that both matrices are there, where config.json promises one."""
    promised = model.json.fields.get("tie_word_embeddings") is True
    if promised and all(name in model.checkpoint.tensors for name in NAMES):
        yield (
            f"{model.json.source} has tie_word_embeddings true, but {' and '.join(NAMES)} are both "
            "there; each is used as it is."
        )


def _stop_tokens(model: SourceModel) -> Iterator[str]:
    ids = model.config.eos_token_ids
    if not ids:
        yield (
            f"{model.path} names no token that ends an answer, so every answer will be as long as "
            "it may; add eos_token_id to generation_config.json."
        )
        return
    given = given_stop_token_ids(model.path, model.json)
    added = [id_ for id_ in ids if id_ not in given]
    if given and added:
        yield (
            f"Answers also end at the tokens {', '.join(map(str, added))}, which end an answer in "
            f"the harmony format of this tokenizer, besides the eos_token_id "
            f"{', '.join(map(str, given))}."
        )
