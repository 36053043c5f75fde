"""What the compiler knows about every model, whatever its family."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """config.json as a family understands it; families add their own fields.

    Fields are named as in Hugging Face's files. The manifest of a bundle holds them all, and two
    checkpoints are of one model if they are equal.
    """

    model_type: str
    vocab_size: int
    hidden_size: int
    max_position_embeddings: int
    eos_token_ids: tuple[int, ...]
    """Ids that end a generation; see `stop_tokens`. Without any, none ends by itself."""
