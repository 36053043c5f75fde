"""Whether two profiles were measured in conditions that let them be compared."""

from ossc.runtimes.profile.gate.statistics import MIN_BLOCKS
from ossc.runtimes.profile.profile import DecodeTimes, DeviceNote, Profile
from ossc.runtimes.profile.report.findings import PHASES, timings, unsteady
from ossc.targets.errors import NotComparableError

MAX_GAIN_FACTOR = 1.25
"""What threads gain over one may differ by so much. Quiet profiles of one bundle were within 1.2 of
each other, and beyond 1.5 of those in which two CPUs did no more than one core does."""


def check_conditions(current: Profile, baseline: Profile) -> None:
    """Refuse profiles that say nothing about each other.

    Raises:
        NotComparableError: They are of different devices, models, targets or workloads, one was
            emulated or has no limits, or other work had the CPUs.
    """
    _check_devices(current, baseline)
    _check_same(current, baseline)
    _check_steady("this bundle", current)
    _check_steady("the baseline", baseline)
    _check_threads(current, baseline)


def _check_devices(current: Profile, baseline: Profile) -> None:
    if current.place.emulated or baseline.place.emulated:
        raise NotComparableError(
            "The two profiles are not comparable: times of an emulator are no device's; profile "
            "both bundles on devices."
        )
    check_one_device(current.device, baseline.device)
    for profile in (current, baseline):
        if profile.limits.missing:
            raise NotComparableError(
                f"The profile of {profile.bundle.path} has no limits of its device "
                f"({profile.limits.missing}), so nothing says whether the device was the same; "
                "compare with the baseline's bundle instead of its profile."
            )
        repeats = profile.workload.repeats
        if repeats < MIN_BLOCKS:
            raise NotComparableError(
                f"The profile of {profile.bundle.path} has {repeats} repeats, which say nothing of "
                f"how much they differ; profile it with --repeats {MIN_BLOCKS} or more."
            )


def check_one_device(current: DeviceNote, baseline: DeviceNote) -> None:
    """Refuse figures of different devices, or of one behind different drivers.

    Raises:
        NotComparableError: They are.
    """
    ours, theirs = _device(current), _device(baseline)
    if ours != theirs:
        raise NotComparableError(
            f"Times of different devices are not comparable: this is {ours} and the baseline "
            f"{theirs}; choose one with --device, and profile both there."
        )


def _device(note: DeviceNote) -> str:
    driver = f" with driver {note.driver}" if note.driver else ""
    return f"{note.name} ({note.kind}, {note.platform}{driver})"


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


def _check_steady(side: str, profile: Profile) -> None:
    """Refuse times of which too few were measured while the machine stayed as it was."""
    for row in (row for phase in PHASES for row in timings(profile, phase)):
        conditions = row.conditions
        if conditions is None or (conditions.steady and conditions.repeats >= MIN_BLOCKS):
            continue
        made = conditions.repeats + conditions.left_out
        raise NotComparableError(
            f"The two profiles are not comparable: while {row.title} of {side} was measured, "
            f"{unsteady(conditions)}, so that fewer than {MIN_BLOCKS} of {made} repeats can be "
            "trusted; end other work and profile it again, or compare with the baseline's bundle "
            "instead of its profile."
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
    # What the bandwidth of all threads explains is no fault of the CPUs.
    allowed = MAX_GAIN_FACTOR * _factor(_read_rate(current), _read_rate(baseline))
    if _factor(*gains) > allowed >= _factor(our_one, their_one):
        raise NotComparableError(
            f"The two profiles are not comparable: with {current.workload.threads} threads, "
            f"decode was {gains[0]:.1f} times as fast as with one here and {gains[1]:.1f} times in "
            f"the baseline, and one thread took as long, so the CPUs differed; profile both "
            "again, or compare with the baseline's bundle instead of its profile."
        )


def _decode_ms(profile: Profile) -> tuple[float, float] | None:
    """Return the median token of one thread and of all; None where these are the same."""
    full = profile.workload.threads
    ms = {row.threads: row.latency.p50_ms for row in _first_depth(profile)}
    return (ms[1], ms[full]) if full > 1 and {1, full} <= ms.keys() else None


def _read_rate(profile: Profile) -> float:
    """Return the bandwidth that was probed beside decode."""
    rates = [row.conditions.read_gb_per_s for row in _first_depth(profile) if row.conditions]
    assert rates, "all threads took part"
    assert rates[0] is not None, "it was not emulated"
    return rates[0]


def _first_depth(profile: Profile) -> list[DecodeTimes]:
    return [row for row in profile.decode if row.depth == profile.workload.depths[0]]


def _factor(one: float, other: float) -> float:
    return max(one / other, other / one)


def _model(profile: Profile) -> str:
    bundle = profile.bundle
    experts = f"{bundle.num_experts_per_tok} of {bundle.num_experts} experts"
    return f"{bundle.model_type} with {bundle.num_layers} layers and {experts}"


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
