"""Whether two profiles were measured in conditions that let them be compared."""

from ossc.runtimes.profile.gate.statistics import MIN_BLOCKS
from ossc.runtimes.profile.profile import Profile
from ossc.targets.errors import NotComparableError

MAX_WAITED = 0.03
"""Share of the time in which threads had no CPU. On a machine left alone it was 0.7 to 1.5 %, and
beside a process that worked 5 % of the time 4 % and more; see docs/regression-gate.md."""

MAX_GAIN_FACTOR = 1.25
"""What threads gain over one may differ by so much. Quiet profiles of one bundle were within 1.2 of
each other, and beyond 1.5 of those in which two CPUs did no more than one core does."""


def check_conditions(current: Profile, baseline: Profile) -> None:
    """Refuse profiles that say nothing about each other.

    Raises:
        NotComparableError: They are of different models, targets or workloads, one was emulated, or
            other work had the CPUs.
    """
    _check_devices(current, baseline)
    _check_same(current, baseline)
    _check_undisturbed("this bundle", current)
    _check_undisturbed("the baseline", baseline)
    _check_threads(current, baseline)


def _check_devices(current: Profile, baseline: Profile) -> None:
    if current.place.emulated or baseline.place.emulated:
        raise NotComparableError(
            "The two profiles are not comparable: times of an emulator are no device's; profile "
            "both bundles on devices."
        )
    for profile in (current, baseline):
        repeats = profile.workload.repeats
        if repeats < MIN_BLOCKS:
            raise NotComparableError(
                f"The profile of {profile.bundle.path} has {repeats} repeats, which say nothing of "
                f"how much they differ; profile it with --repeats {MIN_BLOCKS} or more."
            )


def _check_same(current: Profile, baseline: Profile) -> None:
    ours, theirs = current.bundle, baseline.bundle
    facts = {
        "target": (ours.target, theirs.target),
        "model": (_model(current), _model(baseline)),
        **{
            name.replace("_", " "): (value, getattr(baseline.workload, name))
            for name, value in vars(current.workload).items()
            if name not in ("repeats", "thread_scaling")
        },
    }
    for name, (mine, other) in facts.items():
        if mine != other:
            raise NotComparableError(
                f"The two profiles are not comparable: {name} is {_text(mine)} here and "
                f"{_text(other)} in the baseline; profile one of them again with the other's."
            )


def _check_undisturbed(side: str, profile: Profile) -> None:
    """Refuse times of threads that had to wait for others'; more threads than CPUs wait anyway."""
    waited, machine = profile.machine.waited, profile.machine
    if waited is None or waited <= MAX_WAITED or profile.workload.threads > machine.cpus:
        return
    raise NotComparableError(
        f"The two profiles are not comparable: while {side} was measured, its threads waited "
        f"{waited:.0%} of their time for a CPU that other work had, and up to {MAX_WAITED:.0%} "
        "can be trusted; end the other work and profile it again, or compare with the baseline's "
        "bundle instead of its profile."
    )


def _check_threads(current: Profile, baseline: Profile) -> None:
    """Refuse CPUs that helped each other less in one profile than in the other.

    Two CPUs may share a core or not, and a system beneath this one may change that at any time. One
    thread then takes as long as before; where it does not, the bundles differ.
    """
    ours, theirs = _decode_ms(current), _decode_ms(baseline)
    if ours is None or theirs is None:
        return
    (our_one, our_all), (their_one, their_all) = ours, theirs
    gains = our_one / our_all, their_one / their_all
    if _factor(*gains) > MAX_GAIN_FACTOR >= _factor(our_one, their_one):
        raise NotComparableError(
            f"The two profiles are not comparable: with {current.workload.threads} threads, "
            f"decode was {gains[0]:.1f} times as fast as with one here and {gains[1]:.1f} times in "
            f"the baseline, and one thread took as long, so the CPUs differed; profile both "
            "again, or compare with the baseline's bundle instead of its profile."
        )


def _decode_ms(profile: Profile) -> tuple[float, float] | None:
    """Return the median token of one thread and of all; None where these are the same."""
    full, first = profile.workload.threads, profile.workload.depths[0]
    ms = {row.threads: row.latency.p50_ms for row in profile.decode if row.depth == first}
    return (ms[1], ms[full]) if full > 1 and {1, full} <= ms.keys() else None


def _factor(one: float, other: float) -> float:
    return max(one / other, other / one)


def _model(profile: Profile) -> str:
    bundle = profile.bundle
    experts = f"{bundle.num_experts_per_tok} of {bundle.num_experts} experts"
    return f"{bundle.model_type} with {bundle.num_layers} layers and {experts}"


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
