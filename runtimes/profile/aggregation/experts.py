"""How often each expert was chosen."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ossc.runtimes.profile.aggregation.executions import Bundled, TimedCall
from ossc.runtimes.profile.profile import ExpertUse


def expert_use(
    bundled: Bundled, calls: Sequence[TimedCall], ms: Mapping[int, Mapping[int, float]]
) -> tuple[ExpertUse, ...]:
    """Count how often each expert was chosen.

    Args:
        bundled: The bundle's plan and costs.
        calls: Of prefill and decode, whose routing counts.
        ms: The time of experts in decode, see `PhaseTimes`.
    """
    layers = bundled.plan.router_layers
    known = max((cost.experts for cost in bundled.costs.values()), default=0)
    chosen_ids = [call.routing for call in calls if call.routing.size]
    experts = max([known, *(int(ids.max()) + 1 for ids in chosen_ids)])
    counts = np.zeros((len(layers), experts), np.int64)
    for ids in chosen_ids:
        for row, chosen in enumerate(ids):
            counts[row] += np.bincount(chosen[chosen >= 0], minlength=experts)
    expert_bytes: Counter[int] = Counter()
    for step in bundled.plan.segment("decode").steps:
        expert_bytes[step.layer] += bundled.costs[step.kernel].bytes.per_expert
    return tuple(
        ExpertUse(
            layer=layer,
            counts=tuple(counts[row].tolist()),
            ms=tuple(ms.get(layer, {}).get(expert, 0.0) for expert in range(experts)),
            expert_bytes=expert_bytes[layer],
            entropy=entropy(counts[row]),
        )
        for row, layer in enumerate(layers)
    )


def entropy(counts: NDArray[np.int64]) -> float:
    """Return the entropy of some counts over that of equal ones; 1 where nothing was counted."""
    total = counts.sum()
    if total == 0 or len(counts) < 2:
        return 1.0
    shares = counts[counts > 0] / total
    return float(-(shares * np.log(shares)).sum() / math.log(len(counts)))
