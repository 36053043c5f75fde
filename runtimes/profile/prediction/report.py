"""A prediction for people and for programs: what ``ossc profile --predict`` prints."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.profile.prediction.predict import PhaseTime, Prediction, predict
from ossc.runtimes.profile.report.quantities import format_share, format_time, shorten, significant
from ossc.runtimes.profile.roofline import Roofline
from ossc.runtimes.profile.workload import Workload
from ossc.runtimes.sizes import format_bytes

TOP_KERNELS = 6
KERNEL_WIDTH = 50


@dataclass(frozen=True, kw_only=True)
class PredictionReport:
    """What a bundle should do on a machine that it was not run on."""

    bundle: str
    kv: KvType
    """Type of the KV caches."""
    roofline: Roofline
    decodes: tuple[Prediction, ...]
    """One for each depth."""
    prefills: tuple[Prediction, ...]
    """One for each length of prompt."""

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        roofline = self.roofline
        reads = roofline.read_gb_per_s[max(roofline.read_gb_per_s)]
        yield f"{self.bundle}, KV cache {self.kv}, predicted, not measured"
        yield (
            f"limits        {roofline.source}, {roofline.threads} threads: "
            f"{significant(reads)} GB/s, f32 {significant(roofline.f32_gflops)} GFLOP/s, "
            f"int8 {significant(roofline.int8_gops)} GOP/s, launch "
            f"{format_time(roofline.launch_ns / 1e6)}"
        )
        for prediction in self.prefills:
            rate = significant(prediction.prefill_tokens_per_s)
            yield f"prefill {prediction.prompt_tokens:5} {_phase(prediction.prefill)}, {rate} tok/s"
        for prediction in self.decodes:
            rate = significant(1e3 / prediction.decode_ms)
            yield f"decode @{prediction.depth:5} {_phase(prediction.decode)}, {rate} tok/s"
        yield from _kernels("decode", self.decodes[0].decode)
        yield from _kernels("prefill", self.prefills[0].prefill)

    def fields(self) -> dict[str, Any]:
        """The JSON object of this bundle."""
        return {
            "bundle": self.bundle,
            "kv": self.kv,
            "source": self.roofline.source,
            "threads": self.roofline.threads,
            "decode": [
                {"depth": one.depth, "ms": one.decode_ms, **_terms(one.decode)}
                for one in self.decodes
            ],
            "prefill": [
                {
                    "prompt_tokens": one.prompt_tokens,
                    "tokens_per_s": one.prefill_tokens_per_s,
                    **_terms(one.prefill),
                }
                for one in self.prefills
            ],
        }


def predict_workload(bundle: Bundle, workload: Workload, roofline: Roofline) -> PredictionReport:
    """Predict every length and depth of a workload.

    Raises:
        OsscError: As `predict`, and the workload does not fit into the bundle's context.
    """
    workload = workload.fit(bundle.manifest.context)

    def _predict(prompt_tokens: int, depth: int) -> Prediction:
        return predict(
            bundle.plan,
            bundle.manifest,
            roofline,
            prompt_tokens=prompt_tokens,
            depth=depth,
            threads=workload.threads or roofline.threads,
        )

    return PredictionReport(
        bundle=str(bundle.path),
        kv=bundle.kv,
        roofline=roofline,
        decodes=tuple(_predict(workload.prompt_tokens[0], depth) for depth in workload.depths),
        prefills=tuple(_predict(count, workload.depths[0]) for count in workload.prompt_tokens),
    )


def predictions_json(reports: Sequence[PredictionReport]) -> str:
    """The JSON of some predictions: an object, or a list of several."""
    fields = [report.fields() for report in reports]
    return json.dumps(fields[0] if len(fields) == 1 else fields, indent=1) + "\n"


def _phase(phase: PhaseTime) -> str:
    return (
        f"{format_time(phase.ms)}: {format_bytes(round(phase.bytes))}, "
        f"{significant(phase.operations / 1e9)} GOP, {phase.launches} launches"
    )


def _terms(phase: PhaseTime) -> dict[str, Any]:
    return {
        "bytes": phase.bytes,
        "operations": phase.operations,
        "launches": phase.launches,
        "kernels": [
            {
                "kernel": kernel.kernel,
                "calls": kernel.calls,
                "ms": kernel.ms,
                "bytes": kernel.bytes,
                "operations": kernel.operations,
            }
            for kernel in phase.kernels
        ],
    }


def _kernels(title: str, phase: PhaseTime) -> Iterator[str]:
    yield f"{title:{KERNEL_WIDTH}} calls       ms  share"
    for kernel in phase.kernels[:TOP_KERNELS]:
        name = shorten(kernel.kernel, KERNEL_WIDTH)
        share = format_share(kernel.ms / phase.ms)
        yield f"{name:{KERNEL_WIDTH}} {kernel.calls:5} {significant(kernel.ms):>8} {share:>7}"
