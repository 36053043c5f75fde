"""How well a bundle predicts a text, and how far it is from the model that it came from.

Both sides run freely: each attends over its own cache, so a difference at one token reaches all
later ones of its window, as it would in use.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.progress import Reporter, SilentReporter
from ossc.compiler.text.utf8_text import read_utf8
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.session import Session
from ossc.runtimes.tokenizer import BundleTokenizer
from ossc.targets.errors import UsageError

REFERENCE_BYTES = 1 << 30
"""Float32 experts that the reference may hold at once; it decides how many tokens go together."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The result of ``ossc evaluate``; the fields after ``perplexity`` need a reference."""

    tokens: int
    """Predicted tokens: all of the text but the first of each window."""
    perplexity: float
    """Of the bundle: exp of the mean negative log-likelihood."""
    kl_mean: float | None = None
    """Kullback-Leibler divergence of the bundle from the reference, in nats, over positions."""
    kl_median: float | None = None
    kl_p99: float | None = None
    top1_agreement: float | None = None
    """Share of the positions where both find the same token likeliest."""
    router_agreement: list[float] | None = None
    """For each layer the share of the reference's experts that the bundle chose too; empty where
    none has experts."""
    cosine_median: float | None = None
    """Of the logits."""
    reference_perplexity: float | None = None

    def to_json(self) -> str:
        """The line that ``ossc evaluate --format json`` prints."""
        return json.dumps({key: value for key, value in asdict(self).items() if value is not None})


@dataclass
class Tally:
    """What is kept of each position."""

    losses: list[float] = field(default_factory=list)
    reference_losses: list[float] = field(default_factory=list)
    divergences: list[float] = field(default_factory=list)
    cosines: list[float] = field(default_factory=list)
    agreements: list[bool] = field(default_factory=list)
    routing: list[NDArray[np.float64]] = field(default_factory=list)
    """``[num_router_layers]`` of each position."""

    def evaluation(self) -> Evaluation:
        """Sum up."""
        perplexity = math.exp(float(np.mean(self.losses)))
        if not self.divergences:
            return Evaluation(tokens=len(self.losses), perplexity=perplexity)
        return Evaluation(
            tokens=len(self.losses),
            perplexity=perplexity,
            kl_mean=float(np.mean(self.divergences)),
            kl_median=float(np.median(self.divergences)),
            kl_p99=float(np.percentile(self.divergences, 99)),
            top1_agreement=float(np.mean(self.agreements)),
            router_agreement=[float(share) for share in np.mean(self.routing, axis=0)],
            cosine_median=float(np.median(self.cosines)),
            reference_perplexity=math.exp(float(np.mean(self.reference_losses))),
        )


def evaluate(
    bundle: Path,
    text: Path,
    *,
    against: Path | str | None = None,
    threads: int | None = None,
    kv: KvType | None = None,
    device: str | None = None,
    progress: Reporter | None = None,
) -> Evaluation:
    """Run a text through a bundle, in windows of its context.

    Args:
        bundle: The bundle's folder; it has to have a tokenizer.
        text: A file in UTF-8.
        against: The checkpoint that the bundle came from, run by onnxruntime as it is, unquantized
            beyond what it holds.
        threads: Of the bundle; None is one for each CPU.
        kv: The type of its KV caches; None is its default.
        device: What runs it; None is the best there.
        progress: Receives the tokens that are done.

    Raises:
        UsageError: The text cannot be read, or is shorter than two tokens.
        OsscError: Either side cannot be read or run.
    """
    progress = progress or SilentReporter()
    token_ids = BundleTokenizer.open(bundle).encode(read_utf8(text))
    if len(token_ids) < 2:
        raise UsageError(f"{text} has {len(token_ids)} tokens; evaluation needs at least 2.")
    tally = Tally()
    with Session(bundle, threads=threads, kv=kv, device=device, record_routing=True) as session:
        reference = _Reference(against) if against is not None else None
        progress.phase(f"Evaluating {len(token_ids)} tokens")
        chunk = session.manifest.prefill_chunk
        step = min(chunk, reference.tokens_a_run) if reference else chunk
        for window in _windows(token_ids, session.manifest.context):
            session.reset()
            if reference is not None:
                reference.reset()
            _run_window(session, reference, window, step, tally)
    return tally.evaluation()


def _run_window(
    session: Session,
    reference: "_Reference | None",
    window: Sequence[int],
    step: int,
    tally: Tally,
) -> None:
    for begin in range(0, len(window), step):
        piece = window[begin : begin + step]
        following = window[begin + 1 : begin + 1 + len(piece)]
        ours = _log_softmax(logits := session.prefill(piece, all_logits=True))
        tally.losses += _losses(ours, following)
        if reference is None:
            continue
        outputs = reference.run(piece)
        theirs = _log_softmax(outputs.logits)
        tally.reference_losses += _losses(theirs, following)
        tally.divergences += (np.exp(theirs) * (theirs - ours)).sum(axis=1).tolist()
        tally.agreements += (ours.argmax(axis=1) == theirs.argmax(axis=1)).tolist()
        tally.cosines += _cosines(logits, outputs.logits)
        tally.routing += list(_shared_experts(session.router_indices(), outputs.router_indices))


class _Reference:
    """The checkpoint in onnxruntime."""

    def __init__(self, model: Path | str) -> None:
        from ossc.compiler.families.source_model import SourceModel
        from ossc.compiler.oracle.reference import ReferenceSession, gathered_bytes

        graph = SourceModel.open(model).export()
        self.tokens_a_run = max(1, REFERENCE_BYTES // max(1, gathered_bytes(graph)))
        session = ReferenceSession(graph)
        self.run, self.reset = session.run, session.reset


def _windows(token_ids: Sequence[int], context: int) -> Iterator[Sequence[int]]:
    for begin in range(0, len(token_ids) - 1, context):
        yield token_ids[begin : begin + context]


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    shifted = wide - wide.max(axis=1, keepdims=True)
    normalized: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normalized


def _losses(log_probabilities: NDArray[np.float64], following: Sequence[int]) -> list[float]:
    rows = np.arange(len(following))
    return [float(-value) for value in log_probabilities[rows, following]]


def _cosines(a: NDArray[np.float32], b: NDArray[np.float32]) -> list[float]:
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(a64, axis=1) * np.linalg.norm(b64, axis=1)
    return [float(cosine) for cosine in (a64 * b64).sum(axis=1) / norms]


def _shared_experts(ours: NDArray[Any], theirs: NDArray[Any]) -> NDArray[np.float64]:
    """Return the shares ``[n_tokens, layers]`` of two choices ``[layers, n_tokens, k]``."""
    if not len(ours):
        return np.zeros((ours.shape[1], 0))
    both = ours[:, :, :, None] == theirs[:, :, None, :]  # [layers, n_tokens, k, k]
    shares: NDArray[np.float64] = both.any(axis=2).mean(axis=2).T
    return shares
