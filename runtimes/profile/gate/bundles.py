"""Comparison of two bundles whose runs alternate."""

from collections.abc import Callable
from pathlib import Path

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.profile.gate.judgement import LOOKS, Judgement, unmatched
from ossc.runtimes.profile.gate.result import DEFAULT_THRESHOLD, Comparison, in_order
from ossc.runtimes.profile.gate.rounds import Pair, PhaseRecord, phases
from ossc.runtimes.profile.places import LOCAL, Place
from ossc.runtimes.profile.workload import Workload, workload_tokens
from ossc.targets.errors import NotComparableError


def compare_bundles(
    current: Path,
    baseline: Path,
    workload: Workload,
    threshold: float = DEFAULT_THRESHOLD,
    place: Place = LOCAL,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Comparison:
    """Run two bundles in turn until it is clear whether the first is slower.

    Args:
        current: The bundle that is judged.
        baseline: The one that it is compared with.
        workload: What both run.
        threshold: Slowdown that is a regression, as a fraction.
        place: Where both run.
        on_progress: Told what comes next.

    Raises:
        BundleError: A bundle is damaged, incomplete or of another version.
        NotComparableError: They are of different models or run on different devices, or the place
            is an emulator.
        SessionError: The place cannot run a bundle, or a run failed.
        UsageError: The workload does not fit into a bundle's context.
    """
    pair = _pair(
        Bundle.open(current, kv=workload.kv),
        Bundle.open(baseline, kv=workload.kv),
        workload,
        place,
    )
    records = [PhaseRecord(phase) for phase in phases(pair.workload)]
    active, judgement, done = records, Judgement(threshold, records), 0
    for look in LOOKS:
        for number in range(done, look):
            on_progress(f"round {number + 1} of {look} to {LOOKS[-1]}")
            pair.run_round(number, active)
        done = look
        active = [record for record in active if judgement.is_open(record)]
        if judgement.regressed() or not active:
            break
    return Comparison(
        method="interleaved",
        current=str(current),
        baseline=str(baseline),
        threshold=threshold,
        rounds=done,
        changes=in_order(change for record in records for change in judgement.changes(record)),
        unmatched=tuple(rest for record in records for rest in unmatched(record)),
    )


def _pair(current: Bundle, baseline: Bundle, workload: Workload, place: Place) -> Pair:
    if place.emulated:
        raise NotComparableError(
            f"Times of {place.name} are the emulator's and not comparable; compare on a device."
        )
    ours, theirs = current.manifest.model, baseline.manifest.model
    different = sorted(name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name])
    if different:
        raise NotComparableError(
            f"{current.path} and {baseline.path} are not comparable: their models differ in "
            f"{', '.join(different[:3])}; give two bundles of one model."
        )
    fitted = workload.fit(min(current.manifest.context, baseline.manifest.context))
    return Pair(
        current=current,
        baseline=baseline,
        workload=fitted,
        tokens=workload_tokens(fitted, current.plan.vocab_size),
        place=place,
    )
