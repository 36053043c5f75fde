"""Whether a bundle computes what its model's ONNX graph computes.

The quantized graph is rebuilt from the model with the bundle's own plan and run in onnxruntime,
which dequantizes every weight and computes in float32. So the comparison covers packing, kernels,
plan and runtime, but not the quantization itself, which both sides share.

A router's choice between two experts can be so close that rounding decides it, and everything after
it differs then. So onnxruntime runs with the experts that the bundle chose, every position is
judged, and so is how much onnxruntime's router prefers another choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.describe import model_fields
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.reference import ReferenceOutputs, reference_logits
from ossc.compiler.passes.take_routing import TakeRouting
from ossc.compiler.pipeline import quantized_model
from ossc.compiler.quantization.plan import Activations, QuantizationPlan
from ossc.compiler.quantization.rules import AS_STORED, TENSOR_CLASSES, Rule, rules_of
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import QuantizationEntry
from ossc.runtimes.session import Session
from ossc.targets.errors import NotComparableError

N_TOKENS = 32
"""Token ids that are compared, half of them in one prefill and half one by one."""


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How far a bundle may be from the reference."""

    relative_difference: float
    """Largest difference of a position's logits, over its largest logit."""
    cosine: float
    """Smallest cosine of a position's logits."""
    shortfall: float
    """Most logits by which a router's choice may fall behind the reference's own."""


BOUNDS: Mapping[Activations, Bounds] = {
    # The order of sums is all that differs. Measured on random weights, 24 layers: 4e-6.
    "f32": Bounds(relative_difference=2e-4, cosine=0.9999, shortfall=1e-3),
    # Rounded to 1/32258 of each block's largest. Measured, 24 layers: 6e-4, 0.9999998 and 0.
    "int8x2": Bounds(relative_difference=5e-3, cosine=0.9999, shortfall=0.02),
    # Rounded to 1/127, which is 1.3 % of a layer. Measured, 24 layers: 0.13, 0.991 and 0.4.
    "int8": Bounds(relative_difference=0.3, cosine=0.98, shortfall=1.0),
}


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Logits and chosen experts of a bundle and its reference, position by position."""

    activations: Activations
    cosine: NDArray[np.float64]
    """``[n_tokens]``"""
    relative_difference: NDArray[np.float64]
    """``[n_tokens]``: largest difference over the largest logit."""
    same_experts: NDArray[np.bool_]
    """``[n_tokens]``: in every layer the choice that the reference's routers would have made."""
    routers: int
    """How many the model has."""
    shortfall: NDArray[np.float64]
    """``[n_tokens]``: logits by which the worst choice falls behind the reference's own; infinite
    where an expert was chosen twice."""

    @property
    def bounds(self) -> Bounds:
        """What has to hold at every position."""
        return BOUNDS[self.activations]

    @property
    def holds(self) -> bool:
        """Whether every position is within the bounds of its activation type; NaN is not."""
        return bool(
            np.all(self.relative_difference <= self.bounds.relative_difference)
            and np.all(self.cosine >= self.bounds.cosine)
            and np.all(self.shortfall <= self.bounds.shortfall)
        )


def fixed_token_ids(vocab_size: int, count: int = N_TOKENS) -> list[int]:
    """Return the token ids that every verification uses, spread over the vocabulary."""
    return [(i * 7919 + 1) % vocab_size for i in range(count)]


def verify_against(
    bundle: Bundle,
    model: Path | str,
    *,
    threads: int | None = None,
    device: str | None = None,
) -> Comparison:
    """Compare a bundle, on a device, with the checkpoint that it was compiled from.

    Raises:
        NotComparableError: The checkpoint is of another model.
        OsscError: Either side cannot be read or run.
    """
    source = open_same_model(bundle, model)
    token_ids = fixed_token_ids(source.config.vocab_size)[: bundle.manifest.context]
    plan = quantization_plan(bundle.manifest.quantization)
    with Session(
        bundle.path, threads=threads, kv=bundle.kv, device=device, record_routing=True
    ) as session:
        logits, routing = run_session(session, token_ids)
    graph = TakeRouting()(quantized_model(source, plan)).model
    reference = reference_logits(graph, token_ids, tokens_a_run=1, chosen_experts=routing)
    return compare(logits, routing, reference, plan.activations)


def open_same_model(bundle: Bundle, model: Path | str) -> SourceModel:
    """Open a checkpoint whose config is the one that a bundle was compiled from.

    Raises:
        NotComparableError: It is of another model.
        OsscError: It cannot be read.
    """
    source = SourceModel.open(model)
    for name, value in model_fields(source.config).items():
        if bundle.manifest.model.get(name) != value:
            raise NotComparableError(
                f"The bundle's model has {name} {bundle.manifest.model.get(name)!r} and the "
                f"checkpoint {value!r}; give the checkpoint that it was compiled from."
            )
    return source


def run_session(
    session: Session, token_ids: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Run tokens, the first half at once and the others one by one.

    Returns:
        Logits ``[n_tokens, vocab_size]`` and chosen experts ``[routers, n_tokens, k]``.
    """
    half = len(token_ids) // 2
    parts = [list(token_ids[:half]), *([token_id] for token_id in token_ids[half:])]
    runs = [
        (session.prefill(part, all_logits=True), session.router_indices()) for part in parts if part
    ]
    logits, routing = zip(*runs, strict=True)
    return np.concatenate(logits), np.concatenate(routing, axis=1)


def compare(
    logits: NDArray[np.float32],
    routing: NDArray[Any],
    reference: ReferenceOutputs,
    activations: Activations,
) -> Comparison:
    """Compare outputs.

    Args:
        logits: ``[n_tokens, vocab_size]``.
        routing: ``[routers, n_tokens, k]``; the order of the k does not matter.
        reference: Of onnxruntime, with this routing; it knows by how much this falls short.
        activations: The bundle's activation type.
    """
    shortfall = reference.router_shortfall
    if shortfall is None:
        assert not len(routing), "the reference did not take the routing"
        shortfall = np.zeros((0, len(logits)), np.float32)
    routing = np.sort(routing, axis=2)
    same = routing == np.sort(reference.router_indices, axis=2)
    twice = (np.diff(routing, axis=2) == 0).any(axis=(0, 2))
    cosine, relative_difference = _distances(
        logits.astype(np.float64), reference.logits.astype(np.float64)
    )
    return Comparison(
        activations=activations,
        cosine=cosine,
        relative_difference=relative_difference,
        same_experts=same.all(axis=(0, 2)),
        routers=len(routing),
        shortfall=np.where(twice, np.inf, shortfall.max(axis=0, initial=0.0)),
    )


@np.errstate(invalid="ignore", over="ignore")
def _distances(
    ours: NDArray[np.float64], theirs: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return cosine and relative difference of each row; NaN where a logit is not finite."""
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    difference = np.abs(ours - theirs).max(axis=1)
    return (ours * theirs).sum(axis=1) / norms, difference / np.abs(theirs).max(axis=1)


def quantization_plan(entry: QuantizationEntry) -> QuantizationPlan:
    """Return the plan that a manifest records."""
    activations = cast(Activations, entry.activations)
    defaults = rules_of({str(each): AS_STORED for each in TENSOR_CLASSES})
    rules = (
        Rule(match=rule.match, scheme=rule.scheme, experts=rule.experts) for rule in entry.rules
    )
    return QuantizationPlan(name=entry.preset, activations=activations, rules=(*defaults, *rules))
