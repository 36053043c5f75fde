"""Embedding and head that are one matrix (``tie_word_embeddings``).

As transformers loads them: the one that a checkpoint lacks is the other one; where both are there,
each is used as it is, equal or not. A bundle holds them twice, because the rows of an embedding are
packed one by one, and those of the head in groups.
"""

from collections.abc import Iterator

from ossc.compiler.checkpoint.reader import Checkpoint

EMBEDDING, HEAD = NAMES = ("model.embed_tokens.weight", "lm_head.weight")


def tied_weight(checkpoint: Checkpoint) -> dict[str, str]:
    """Return the name of the weight that the checkpoint lacks, and of the one that stands for it.

    Returns:
        Empty, or one pair.
    """
    missing = [name for name in NAMES if name not in checkpoint.tensors]
    if not checkpoint.config.tie_word_embeddings or len(missing) != 1:
        return {}
    return {missing[0]: HEAD if missing[0] == EMBEDDING else EMBEDDING}


def notes(checkpoint: Checkpoint) -> Iterator[str]:
    """Say that both matrices are there, where config.json promises one."""
    if checkpoint.config.tie_word_embeddings and not tied_weight(checkpoint):
        yield (
            f"{checkpoint.path / 'config.json'} has tie_word_embeddings true, but "
            f"{' and '.join(NAMES)} are both there; each is used as it is."
        )
