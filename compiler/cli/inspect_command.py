"""``ossc inspect``: what a bundle holds and needs."""

import dataclasses
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from ossc.compiler.cli.base import OsscCommand, format_option
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import MemoryEntry, RuleEntry, TensorScheme, schemes_of
from ossc.runtimes.plan import Segment
from ossc.runtimes.sizes import format_bytes


@click.command("inspect", cls=OsscCommand)
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--steps", is_flag=True, help="List every step of the plan too.")
@format_option
def command(bundle: Path, steps: bool, form: str) -> None:
    """Show the model, target, formats, memory and plan of BUNDLE.

    Its files are checked as `ossc run` does it: all hashes but that of the weights.
    """
    opened = Bundle.open(bundle)
    if form == "json":
        click.echo(json.dumps(_fields(opened, steps), indent=1))
        return
    manifest = opened.manifest
    rows = {
        "model": _model_title(manifest.model),
        "target": f"{manifest.target.name} ({manifest.target.host.arch})",
        "compiled by": f"ossc {manifest.ossc_version}",
        "quantization": f"{manifest.quantization.preset}: "
        + ", ".join(map(_rule_title, manifest.quantization.rules)),
        "tensors": _tensor_counts(manifest.quantization.tensors),
        "activations": manifest.quantization.activations,
        "context": f"{manifest.context} tokens, prompts in chunks of {manifest.prefill_chunk}",
        "weights": format_bytes(manifest.memory.weights_bytes),
        **_session_rows(manifest.memory),
    }
    for key, value in rows.items():
        click.echo(f"{key:13} {value}")
    click.echo("files")
    for name, entry in sorted(manifest.files.items()):
        size = format_bytes(entry.size_bytes)
        click.echo(f"  {name:22} {entry.role:9} {size:>10}  sha256 {entry.sha256[:16]}…")
    click.echo("plan")
    for segment in opened.plan.segments:
        click.echo(f"  {_segment_title(segment)}: {len(segment.steps)} steps")
        if steps:
            for step in segment.steps:
                click.echo(f"    {step.label:55} {step.kernel}")


def _rule_title(rule: RuleEntry) -> str:
    experts = "" if rule.experts is None else f" (experts {_ranges(rule.experts)})"
    return f"{rule.match}{experts} {rule.scheme}"


def _ranges(experts: Sequence[int]) -> str:
    """Return rising numbers as a text: ``0, 3, 8-11``."""
    runs = groupby(enumerate(experts), key=lambda pair: pair[1] - pair[0])
    ends = [[expert for _, expert in run] for _, run in runs]
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in ends)


def _tensor_counts(tensors: Mapping[str, TensorScheme]) -> str:
    """Say how many tensors are held in which form: what ``as-stored`` came to."""
    schemes = Counter("+".join(schemes_of(tensor)) for tensor in tensors.values())
    return ", ".join(f"{count} {scheme}" for scheme, count in sorted(schemes.items()))


def _session_rows(memory: MemoryEntry) -> dict[str, str]:
    return {
        f"session {kv}": f"{format_bytes(session.state_bytes + session.arena_bytes)} beside the "
        f"weights; of it {format_bytes(session.kv_bytes)} KV cache, "
        f"{format_bytes(session.kv_bytes_per_token)} a token"
        + (" (the default)" if kv == memory.default_kv else "")
        for kv, session in memory.kv.items()
    }


def _model_title(model: Mapping[str, Any]) -> str:
    counts = {
        "num_hidden_layers": "layers",
        "num_local_experts": "experts",
        "num_experts_per_tok": "of them a token",
    }
    known = [f"{model[field]} {what}" for field, what in counts.items() if field in model]
    return ", ".join([str(model.get("model_type", "of unknown type")), *known])


def _segment_title(segment: Segment) -> str:
    rows = "1 row" if segment.max_tokens == 1 else f"up to {segment.max_tokens} rows"
    return f"{segment.name}, {rows}"


def _fields(bundle: Bundle, steps: bool) -> dict[str, object]:
    segments: list[dict[str, object]] = []
    for segment in bundle.plan.segments:
        fields: dict[str, object] = {
            "name": segment.name,
            "max_tokens": segment.max_tokens,
            "steps": len(segment.steps),
            "kernels": dict(Counter(step.kernel for step in segment.steps)),
        }
        if steps:
            fields["step_list"] = [
                {"label": step.label, "kernel": step.kernel, "layer": step.layer}
                for step in segment.steps
            ]
        segments.append(fields)
    return {"manifest": dataclasses.asdict(bundle.manifest), "plan": segments}
