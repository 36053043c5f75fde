"""Synthetic gpt-oss checkpoints: random weights in the official layout, at any shape.

::

    from synthetic import SyntheticShape, make_checkpoint

    make_checkpoint(tmp_path / "model")                                    # tiny, MXFP4, one file
    make_checkpoint(path, SyntheticShape(num_local_experts=32, head_dim=64, sliding_window=3))
    make_checkpoint(path, experts="bf16", config_form=5)                   # a fine-tune
    make_checkpoint(path, floats=(("*", "F16"), ("*router*", "F32")))      # other floats than bf16
    make_checkpoint(path, max_shard_bytes=100_000, tokenizer=True)
    make_checkpoint(path, GPT_OSS_120B, sparse=True)                       # 65 GB that take no room

``python tests/make_checkpoint.py --help`` does the same from a command line.
"""

import json
from pathlib import Path
from typing import Literal

from synthetic.files import write_tensors
from synthetic.layout import Experts, FloatTypes, layout
from synthetic.shape import GPT_OSS_20B, GPT_OSS_120B, SyntheticShape, config_json
from synthetic.tokenizer import write_tokenizer

__all__ = ["GPT_OSS_20B", "GPT_OSS_120B", "SyntheticShape", "make_checkpoint"]


def make_checkpoint(
    path: Path,
    shape: SyntheticShape | None = None,
    *,
    seed: int = 0,
    experts: Experts = "mxfp4",
    floats: FloatTypes = (),
    config_form: Literal[4, 5] = 4,
    max_shard_bytes: int | None = None,
    generation_config: bool = True,
    tokenizer: bool = False,
    sparse: bool = False,
    tied: str | None = None,
) -> Path:
    """Write a checkpoint; the same arguments give the same bytes.

    Args:
        path: The folder to write; made when it is not there.
        shape: Of the model; by default a tiny one. MXFP4 needs hidden and intermediate sizes that
            are multiples of 32.
        seed: Of the random weights.
        experts: ``mxfp4``, as gpt-oss is published, or ``bf16``, as fine-tunes are saved: weights
            [E, H, 2I] and [E, I, H].
        floats: Types of the float tensors; without them all are bfloat16.
        config_form: Major version of transformers whose config.json this is.
        max_shard_bytes: Start another file at this size, and write an index; by default one file.
        generation_config: Write generation_config.json with the three stop ids. Without it the
            checkpoint has none.
        tokenizer: Write tokenizer.json, tokenizer_config.json and chat_template.jinja; needs a
            vocabulary of at least 265.
        sparse: Leave the data zero and without blocks on the disk, for what reads headers only.
        tied: The one of embedding and head that is left out, because config.json ties the two.

    Returns:
        ``path``.
    """
    shape = shape or SyntheticShape()
    path.mkdir(parents=True, exist_ok=True)
    config = config_json(shape, config_form=config_form, experts=experts)
    if tied is not None:
        config["tie_word_embeddings"] = True
    (path / "config.json").write_text(json.dumps(config, indent=2))
    if generation_config:
        ids = {"eos_token_id": shape.stop_token_ids(), "do_sample": True}
        (path / "generation_config.json").write_text(json.dumps(ids, indent=2))
    if tokenizer:
        write_tokenizer(path, shape)
    tensors = [tensor for tensor in layout(shape, experts, floats) if tensor.name != tied]
    write_tensors(path, tensors, seed=seed, max_shard_bytes=max_shard_bytes, sparse=sparse)
    return path
