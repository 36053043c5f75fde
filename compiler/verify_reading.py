"""Whether our reading of a checkpoint is transformers' reading.

A bundle and the ONNX graph that it is compared with come from one reading of config.json, so what
is read wrongly there agrees with itself. Here the graph, fused but with the checkpoint's own
weights, is compared with transformers, which reads the checkpoint by itself.

The tokens reach beyond the sliding window. The first half stands side by side; the others stand far
apart, up to a position at which a frequency that is 1 % off turns everything.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from ossc.compiler.dialect.call import calls_in
from ossc.compiler.families.model_config import ModelConfig
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.oracle.transformers_model import OracleOutputs, require_oracle, run_transformers
from ossc.compiler.passes.take_rotary_positions import TakeRotaryPositions
from ossc.compiler.passes.take_routing import TakeRouting
from ossc.compiler.pipeline import quantized_model
from ossc.compiler.progress import Reporter, SilentReporter
from ossc.compiler.quantization.plan import load_plan
from ossc.compiler.verify import N_TOKENS, Comparison, compare, fixed_token_ids

BEYOND_WINDOW = 16
"""Tokens after the first that no longer sees the beginning."""

MAX_TOKENS = 512
"""A window longer than this is not filled."""

FAR_POSITION = 8191
"""The last token's position, if the model has as many: twice what gpt-oss was pretrained on."""

RELATIVE_DIFFERENCE = 5e-5
"""Bound at position 0; only the order of sums differs. Measured: 2e-6 on trained weights."""

RADIANS_PER_POSITION = 2.0**-22
"""Two last bits of the largest frequency: powers come from the machine's mathematical library."""

SHORTFALL = 0.01
"""Most logits by which a choice of transformers may fall behind our routers' own. At the last
position angles may be 0.002 radians off. Measured: 0."""

READ_OTHERWISE_SKIPS = ("model_type", "eos_token_ids")
"""Not one value in both, or not part of the computation."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What came of the comparison."""

    oracle: str
    """Which class of which release of transformers."""
    read_otherwise: tuple[str, ...]
    """Fields of config.json, with transformers' value and ours."""
    rotary_positions: tuple[int, ...]
    comparison: Comparison
    """transformers' logits and choices against our graph, which followed these choices."""

    @property
    def bounds(self) -> NDArray[np.float64]:
        """``[n_tokens]``: how far the logits may be apart, over the largest."""
        return RELATIVE_DIFFERENCE + RADIANS_PER_POSITION * np.array(self.rotary_positions)

    @property
    def share_of_bound(self) -> float:
        """The largest difference over its position's bound; NaN where a logit is not finite."""
        return float((self.comparison.relative_difference / self.bounds).max())

    @property
    def holds(self) -> bool:
        """Whether both read the same, and every position is within its bound; NaN is not."""
        return not self.read_otherwise and bool(
            np.all(self.comparison.relative_difference <= self.bounds)
            and np.all(self.comparison.shortfall <= SHORTFALL)
        )


def verify_reading(source: SourceModel, progress: Reporter | None = None) -> Reading:
    """Compare the exported graph with transformers.

    Raises:
        NotComparableError: transformers is missing, cannot load the checkpoint, or needs more
            memory than there is.
        OsscError: The checkpoint cannot be exported.
    """
    progress = progress or SilentReporter()
    require_oracle(source.checkpoint)
    config, model = source.config, quantized_model(source, load_plan("none"))
    token_ids = fixed_token_ids(config.vocab_size, _token_count(config, _longest_window(model)))
    positions = rotary_positions(len(token_ids), config.max_position_embeddings)

    progress.phase("Loading the model in float32 with transformers, and running it")
    oracle = run_transformers(source.checkpoint, token_ids, positions)

    progress.phase("Running the exported graph with onnxruntime")
    graph = TakeRotaryPositions()(TakeRouting()(model).model).model
    reference = reference_logits(
        graph,
        token_ids,
        tokens_a_run=1,
        chosen_experts=oracle.router_indices,
        rotary_positions=positions,
    )
    return Reading(
        oracle=oracle.name,
        read_otherwise=read_otherwise(config, oracle),
        rotary_positions=tuple(positions),
        comparison=compare(oracle.logits, oracle.router_indices, reference, "f32"),
    )


def rotary_positions(count: int, max_position_embeddings: int) -> list[int]:
    """Return growing positions: the first half side by side, the others evenly up to the last."""
    half = (count + 1) // 2
    last = max(count - 1, min(FAR_POSITION, max_position_embeddings - 1))
    far = np.linspace(half - 1, last, count - half + 1)[1:]
    return [*range(half), *far.round().astype(int).tolist()]


def read_otherwise(config: ModelConfig, oracle: OracleOutputs) -> tuple[str, ...]:
    """List the fields that both readings have, with different values."""
    ours = dataclasses.asdict(config)
    return tuple(_differences("", ours, oracle.config))


def _differences(prefix: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[str]:
    for name, value in ours.items():
        other = theirs.get(name)
        if name in READ_OTHERWISE_SKIPS or value is None or other is None:
            continue
        if isinstance(value, dict):
            yield from _differences(f"{prefix}{name}.", value, other)
        elif other != (list(value) if isinstance(value, tuple) else value):
            yield f"{prefix}{name}: {other!r}, not {value!r}"


def _token_count(config: ModelConfig, window: int) -> int:
    wanted = max(N_TOKENS, window + BEYOND_WINDOW)
    return min(wanted, MAX_TOKENS, config.max_position_embeddings)


def _longest_window(model: ir.Model) -> int:
    """Return how many keys a query sees at most where it does not see all of them."""
    windows = (call.integer("window") for call in calls_in(model, "RopeAttention"))
    return max(windows, default=0)
