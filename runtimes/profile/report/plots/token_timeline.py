"""One token from its first step to its last, with a lane for each thread.

The lanes are drawn 1 high and as many µs wide as the token took; the page scales them.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ossc.runtimes.profile.profile import StepSpan
from ossc.runtimes.profile.report.plots.axis import Axis, Mark
from ossc.runtimes.profile.report.plots.families import Family, family

TOP, BOTTOM = 0.08, 0.92
"""Edges of a span within its lane."""


@dataclass(frozen=True, kw_only=True)
class LayerSpan:
    """The steps of one layer."""

    layer: int
    begin_us: float
    us: float


@dataclass(frozen=True, kw_only=True)
class TokenTimeline:
    """Paths of all spans, and the same as data for who asks about one."""

    us: float
    threads: int
    paths: tuple[tuple[Family, str], ...]
    layers: tuple[LayerSpan, ...]
    data: dict[str, Any]
    """For the script: ``us``, ``threads``, ``kernels`` (names), ``layers`` ([layer, begin, µs]) and
    ``steps`` ([label, kernel, layer, begin, µs, family, [[begin, µs], …]])."""

    @property
    def axis(self) -> Axis:
        """Time since the token began, in ms."""
        return Axis(low=0, high=self.us / 1000)

    @property
    def marks(self) -> list[Mark]:
        """Marks of the axis."""
        return self.axis.marks(8)


def token_timeline(
    spans: Sequence[StepSpan], operations: Mapping[str, str]
) -> TokenTimeline | None:
    """Lay out the steps of a token.

    Args:
        spans: The steps in order; without any there is nothing to show.
        operations: The operation of each kernel; its symbol stands in for a missing one.
    """
    if not spans or spans[-1].begin_us + spans[-1].us <= 0:
        return None
    us = spans[-1].begin_us + spans[-1].us
    decimals = 1 if us > 5000 else 3
    layers = tuple(_layers(spans))
    families = {span.kernel: family(operations.get(span.kernel, span.kernel)) for span in spans}
    kernels = list(families)
    threads = max(len(span.threads) for span in spans)
    return TokenTimeline(
        us=us,
        threads=threads,
        paths=tuple(_paths(spans, families, decimals).items()),
        layers=layers,
        data={
            "us": round(us, decimals),
            "threads": threads,
            "kernels": kernels,
            "layers": [
                [s.layer, round(s.begin_us, decimals), round(s.us, decimals)] for s in layers
            ],
            "steps": [
                _step(span, kernels.index(span.kernel), families[span.kernel], decimals)
                for span in spans
            ],
        },
    )


def _layers(spans: Sequence[StepSpan]) -> list[LayerSpan]:
    runs = [(layer, list(run)) for layer, run in groupby(spans, key=lambda span: span.layer)]
    return [
        LayerSpan(
            layer=layer,
            begin_us=run[0].begin_us,
            us=run[-1].begin_us + run[-1].us - run[0].begin_us,
        )
        for layer, run in runs
        if layer >= 0
    ]


def _paths(
    spans: Sequence[StepSpan], families: Mapping[str, Family], decimals: int
) -> dict[Family, str]:
    parts: dict[Family, list[str]] = defaultdict(list)
    height = f"{BOTTOM - TOP:.2f}"
    for span in spans:
        for thread, (begin, us) in enumerate(span.threads):
            if us > 0:
                size = f"{us:.{decimals}f}"
                parts[families[span.kernel]].append(
                    f"M{begin:.{decimals}f} {thread + TOP:.2f}h{size}v{height}h-{size}z"
                )
    return {name: "".join(path) for name, path in parts.items()}


def _step(span: StepSpan, kernel: int, name: Family, decimals: int) -> list[Any]:
    threads = [[round(begin, decimals), round(us, decimals)] for begin, us in span.threads]
    begin, us = round(span.begin_us, decimals), round(span.us, decimals)
    return [span.label, kernel, span.layer, begin, us, name, threads]
