"""The model in transformers: its own class and its own reading of config.json, float32 on the CPU.

Nothing of ours is on this side: not the config, not the names of the tensors, not the decoding of
MXFP4. No network is used, and no code of a checkpoint is run.
"""

import math
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.available_memory import available_bytes
from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.runtimes.sizes import format_bytes
from ossc.targets.errors import NotComparableError

PACKAGES = ("torch", "transformers")

SHARE_OF_MEMORY = 0.8
"""How much of the available memory the model may take."""

LOADING_TENSORS = 6
"""Largest tensors in flight while transformers loads with four threads. Measured: 3."""

ROUTER_CLASS = "TopKRouter"
"""How the names of its classes of routers end; the third thing that each returns is the choice."""

LIBRARY_BYTES = 500_000_000
"""Allowance for torch itself, and for the activations."""


@dataclass(frozen=True, kw_only=True)
class OracleOutputs:
    """What transformers read and computed."""

    name: str
    """The class and the release: ``GptOssForCausalLM of transformers 5.24.0``."""
    config: Mapping[str, Any]
    """The fields of config.json as transformers understands them."""
    logits: NDArray[np.float32]
    """``[n_tokens, vocab_size]``"""
    router_indices: NDArray[np.int64]
    """``[routers, n_tokens, num_experts_per_tok]``: the chosen experts"""


def needed_bytes(checkpoint: Checkpoint) -> int:
    """Estimate from the headers how much memory the model takes in float32, and to load it."""
    sizes = [4 * _value_count(checkpoint, name) for name in checkpoint.tensors]
    return sum(sizes) + LOADING_TENSORS * max(sizes, default=0) + LIBRARY_BYTES


def require_oracle(checkpoint: Checkpoint) -> None:
    """Check that transformers is there, and that the model fits.

    Raises:
        NotComparableError: It is not installed, or the memory does not suffice.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise NotComparableError(
            f"--oracle transformers needs the Python package {' and '.join(missing)}, which is not "
            'installed; run pip install "ossc[oracle]", or use --oracle onnxruntime.'
        )
    needed, available = needed_bytes(checkpoint), available_bytes()
    if available is not None and needed > SHARE_OF_MEMORY * available:
        raise NotComparableError(
            f"In float32 this model takes {format_bytes(needed)} in transformers, more than "
            f"{SHARE_OF_MEMORY:.0%} of the {format_bytes(available)} that are available; use "
            f"--oracle onnxruntime, or a machine with {format_bytes(_suits(needed))} of memory."
        )


def run_transformers(
    checkpoint: Checkpoint, token_ids: Sequence[int], rotary_positions: Sequence[int]
) -> OracleOutputs:
    """Load a checkpoint with transformers and compute one sequence, without a cache.

    Args:
        checkpoint: Only its folder is used, and whether its experts are MXFP4.
        token_ids: At least one; masks count them one by one.
        rotary_positions: By which queries and keys are rotated, one a token.

    Raises:
        NotComparableError: transformers cannot load the checkpoint, or not all of it.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"  # read when transformers is loaded
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    with redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import transformers

        with _quiet(transformers):
            model = _load(transformers, checkpoint)
            logits, routing = _compute(model, token_ids, rotary_positions)
    return OracleOutputs(
        name=f"{type(model).__name__} of transformers {transformers.__version__}",
        config=model.config.to_dict(),
        logits=logits,
        router_indices=routing,
    )


def _value_count(checkpoint: Checkpoint, name: str) -> int:
    """Count the float32 values that a tensor becomes."""
    count = math.prod(checkpoint.tensors[name].shape)
    if name.endswith("_blocks"):
        return 2 * count  # two codes a byte
    return 0 if name.endswith("_scales") else count


def _suits(needed: int) -> int:
    return math.ceil(needed / SHARE_OF_MEMORY)


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Keep warnings and progress bars of transformers off the terminal."""
    log = transformers.utils.logging
    verbosity, had_bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        if had_bars:
            log.enable_progress_bar()


def _load(transformers: Any, checkpoint: Checkpoint) -> Any:
    """Return the model, all of whose parameters come from the checkpoint."""
    try:
        model, info = _from_pretrained(transformers, checkpoint.path, _is_mxfp4(checkpoint))
    except Exception as error:  # what transformers raises on a checkpoint is not one class
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise NotComparableError(
            f"transformers {transformers.__version__} cannot load {checkpoint.path} "
            f"({first_line}); use --oracle onnxruntime."
        ) from error
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info[kind]:
            raise NotComparableError(
                f"transformers {transformers.__version__} does not take {checkpoint.path} as it is "
                f"({kind.replace('_keys', ' tensor')} {min(map(str, info[kind]))}), so its numbers "
                "say nothing; use --oracle onnxruntime."
            )
    return model.eval()


def _is_mxfp4(checkpoint: Checkpoint) -> bool:
    return any(name.endswith("_blocks") for name in checkpoint.tensors)


def _from_pretrained(transformers: Any, path: Path, mxfp4: bool) -> Any:
    config = transformers.AutoConfig.from_pretrained(
        path, local_files_only=True, trust_remote_code=False
    )
    if not mxfp4:
        config.__dict__.pop("quantization_config", None)  # a fine-tune may have it left over
    return transformers.AutoModelForCausalLM.from_pretrained(
        path,
        config=config,
        dtype="float32",
        quantization_config=transformers.Mxfp4Config(dequantize=True) if mxfp4 else None,
        attn_implementation="eager",
        experts_implementation="eager",  # the default takes only some sizes
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
    )


def _compute(
    model: Any, token_ids: Sequence[int], rotary_positions: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    import torch

    routing: list[NDArray[np.int64]] = []
    routers = [each for each in model.modules() if type(each).__name__.endswith(ROUTER_CLASS)]
    hooks = [
        router.register_forward_hook(lambda _router, _in, out: routing.append(out[2].numpy()))
        for router in routers
    ]
    try:
        with torch.inference_mode():
            outputs = model(
                torch.tensor([list(token_ids)]),
                # Without a mask, many classes take a gap in the positions for the begin of another
                # sequence, which sees nothing of what is before.
                attention_mask=torch.ones(1, len(token_ids), dtype=torch.int64),
                position_ids=torch.tensor([list(rotary_positions)]),
                use_cache=False,
            )
    finally:
        for hook in hooks:
            hook.remove()
    chosen = np.stack(routing) if routing else np.zeros((0, len(token_ids), 0), np.int64)
    return outputs.logits[0].numpy(), chosen
