"""Embedding and head that are one matrix (``tie_word_embeddings``).

As transformers loads them: the one that a checkpoint lacks is the other one; where both are there,
each is used as it is, equal or not. A bundle for a CPU holds them once, where a plan has one scheme
for both.
"""

from ossc.compiler.families.fields.decoder import DecoderConfig
from ossc.compiler.storage.tensor_index import TensorIndex, WeightMap
from ossc.targets.errors import CheckpointError

EMBEDDING, HEAD = NAMES = ("model.embed_tokens.weight", "lm_head.weight")


def embedding_and_head(config: DecoderConfig, tensors: TensorIndex) -> WeightMap:
    """Take both matrices ``[V, H]``; one that is missing is the other one, if they are tied.

    Raises:
        CheckpointError: One is missing though they are not tied, or is of another dtype or shape.
    """
    shape = (config.vocab_size, config.hidden_size)
    missing = [name for name in NAMES if name not in tensors]
    if missing == [HEAD] and not config.tie_word_embeddings:
        raise CheckpointError(
            f"{tensors.checkpoint.path} has no tensor {HEAD!r}, but its config.json does not have "
            "tie_word_embeddings true, which would make it the embedding; set that if it is meant, "
            "or download all of the checkpoint."
        )
    if not config.tie_word_embeddings or len(missing) != 1:
        return tensors.weight(EMBEDDING, shape) | tensors.weight(HEAD, shape)
    (lacking,) = missing
    stored = HEAD if lacking == EMBEDDING else EMBEDDING
    return tensors.weight(stored, shape) | tensors.weight(stored, shape, called=lacking)
