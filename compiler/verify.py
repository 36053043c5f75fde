"""Whether a bundle computes what its model's ONNX graph computes.

The quantized graph is rebuilt from the model with the bundle's own plan and run in onnxruntime,
which dequantizes every weight and computes in float32. So the comparison covers packing, kernels,
plan and runtime, but not the quantization itself, which both sides share.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.checkpoint import Checkpoint
from ossc.compiler.describe import model_fields
from ossc.compiler.export.reference import ReferenceOutputs, reference_logits
from ossc.compiler.pipeline import quantized_model
from ossc.compiler.quantization.plan import Activations, QuantizationPlan
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import QuantizationEntry
from ossc.runtimes.session import Session
from ossc.targets.errors import NotComparableError

N_TOKENS = 32
"""Token ids that are compared: enough to fill the router with choices, few enough for 20b."""

MIN_COSINE = 0.9995
"""With int8 activations, which are rounded to 1/127 of each block's largest."""

MAX_RELATIVE_DIFFERENCE = 2e-4
"""With float32 activations: of the largest logit, the sums' order being all that differs."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Logits and chosen experts of a bundle and its reference, position by position."""

    activations: str
    cosine: NDArray[np.float64]
    """``[n_tokens]``"""
    relative_difference: NDArray[np.float64]
    """``[n_tokens]``: largest difference over the largest logit."""
    same_experts: NDArray[np.bool_]
    """``[n_tokens]``: in every layer."""

    @property
    def judged(self) -> NDArray[np.bool_]:
        """``[n_tokens]``: the same experts, here and at all earlier positions.

        Where a position took another expert, its keys and values are others from the next layer
        on, and attention brings them into the positions that follow.
        """
        return np.logical_and.accumulate(self.same_experts)

    @property
    def compared(self) -> int:
        """Positions that are judged."""
        return int(self.judged.sum())

    @property
    def rerouted(self) -> int:
        """Positions that chose another expert in some layer."""
        return int((~self.same_experts).sum())

    @property
    def following(self) -> int:
        """Positions that chose the same experts, after one that did not."""
        return int((self.same_experts & ~self.judged).sum())

    @property
    def worst_cosine(self) -> float:
        """The smallest of the judged positions."""
        return float(self.cosine[self.judged].min())

    @property
    def worst_difference(self) -> float:
        """The largest of the judged positions."""
        return float(self.relative_difference[self.judged].max())

    @property
    def holds(self) -> bool:
        """Whether every judged position is within the bound of its activation type.

        Raises:
            NotComparableError: No position can be judged.
        """
        if not self.compared:
            raise NotComparableError(
                "The bundle chooses another expert than its model for the first token already, so "
                "no logits can be compared; close choices flip with the rounding of int8 "
                "activations, compile with --quant none to compare the rest."
            )
        if self.activations == "f32":
            return self.worst_difference <= MAX_RELATIVE_DIFFERENCE
        return self.worst_cosine >= MIN_COSINE


def fixed_token_ids(vocab_size: int, count: int = N_TOKENS) -> list[int]:
    """Return the token ids that every verification uses, spread over the vocabulary."""
    return [(i * 7919 + 1) % vocab_size for i in range(count)]


def verify_against(bundle: Bundle, model: Path, *, threads: int | None = None) -> Comparison:
    """Compare a bundle with the checkpoint that it was compiled from.

    Raises:
        NotComparableError: The checkpoint is of another model.
        OsscError: Either side cannot be read or run.
    """
    checkpoint = Checkpoint.open(model)
    _require_same_model(bundle, model_fields(checkpoint.config))
    token_ids = fixed_token_ids(checkpoint.config.vocab_size)[: bundle.manifest.context]
    graph = quantized_model(checkpoint, quantization_plan(bundle.manifest.quantization))
    reference = reference_logits(graph, token_ids, tokens_a_run=1)
    with Session(bundle.path, threads=threads, record_routing=True) as session:
        ours = [(session.decode(i), session.router_indices()) for i in token_ids]
    logits = np.stack([each[0] for each in ours])
    routing = np.concatenate([each[1] for each in ours], axis=1)
    return compare(logits, routing, reference, bundle.manifest.quantization.activations)


def compare(
    logits: NDArray[np.float32],
    routing: NDArray[Any],
    reference: ReferenceOutputs,
    activations: str,
) -> Comparison:
    """Compare outputs.

    Args:
        logits: ``[n_tokens, vocab_size]``.
        routing: ``[num_hidden_layers, n_tokens, k]``; the order of the k does not matter.
        reference: The same of onnxruntime.
        activations: The bundle's activation type.
    """
    ours, theirs = logits.astype(np.float64), reference.logits.astype(np.float64)
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    same = np.sort(routing, axis=2) == np.sort(reference.router_indices, axis=2)
    return Comparison(
        activations=activations,
        cosine=(ours * theirs).sum(axis=1) / norms,
        relative_difference=np.abs(ours - theirs).max(axis=1) / np.abs(theirs).max(axis=1),
        same_experts=same.all(axis=(0, 2)),
    )


def quantization_plan(entry: QuantizationEntry) -> QuantizationPlan:
    """Return the plan that a manifest records."""
    activations = cast(Activations, entry.activations)
    return QuantizationPlan(name=entry.preset, activations=activations, **entry.schemes)


def _require_same_model(bundle: Bundle, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if bundle.manifest.model.get(name) != value:
            raise NotComparableError(
                f"The bundle's model has {name} {bundle.manifest.model.get(name)!r} and the "
                f"checkpoint {value!r}; give the checkpoint that it was compiled from."
            )
