"""Profiles that say nothing about each other."""

from dataclasses import replace

import pytest

from ossc.runtimes.profile.gate.conditions import MAX_WAITED
from ossc.runtimes.profile.gate.profiles import compare_profiles
from ossc.runtimes.profile.profile import Profile
from ossc.targets.errors import NotComparableError
from profile_example import emulated_profile, example_profile

BASELINE = example_profile()


@pytest.mark.parametrize(
    ("current", "reason"),
    [
        pytest.param(emulated_profile(), "emulator", id="emulated"),
        pytest.param(
            replace(BASELINE, bundle=replace(BASELINE.bundle, target="cpu:aarch64")),
            "target is cpu:aarch64 here and cpu:x86-64-v3 in the baseline",
            id="target",
        ),
        pytest.param(
            replace(BASELINE, bundle=replace(BASELINE.bundle, num_layers=36)),
            "model is gpt_oss with 36 layers",
            id="model",
        ),
        pytest.param(
            replace(BASELINE, workload=replace(BASELINE.workload, depths=(1, 2))),
            "depths is 1, 2 here",
            id="depths",
        ),
        pytest.param(
            replace(BASELINE, workload=replace(BASELINE.workload, threads=1)),
            "threads is 1 here and 2",
            id="threads",
        ),
        pytest.param(
            replace(BASELINE, workload=replace(BASELINE.workload, weights="resident")),
            "weights is resident here",
            id="weights",
        ),
        pytest.param(
            replace(BASELINE, workload=replace(BASELINE.workload, kv="f16")),
            "kv is f16 here and f32 in the baseline",
            id="kv",
        ),
    ],
)
def test_other_conditions_are_not_comparable(current, reason):
    for pair in [(current, BASELINE), (BASELINE, current)]:
        with pytest.raises(NotComparableError) as refused:
            compare_profiles(*pair)
        assert reason in str(refused.value) or pair[0] is BASELINE
        assert refused.value.exit_code == 3


def waiting(waited: float | None, **machine: int) -> Profile:
    """The profile of threads that waited for a CPU."""
    return replace(BASELINE, machine=replace(BASELINE.machine, waited=waited, **machine))


def test_times_beside_other_work_are_not_comparable():
    busy = waiting(0.31)
    for pair, side in [((busy, BASELINE), "this bundle"), ((BASELINE, busy), "the baseline")]:
        with pytest.raises(NotComparableError) as refused:
            compare_profiles(*pair)
        sentence = str(refused.value)
        assert f"while {side} was measured, its threads waited 31% of their time" in sentence
        assert "up to 3% can be trusted; end the other work" in sentence
        assert refused.value.exit_code == 3


def test_little_waiting_is_trusted_and_so_is_a_system_that_does_not_say():
    for waited in (0.0, MAX_WAITED, None):
        assert not compare_profiles(waiting(waited), waiting(waited)).regressed


def test_more_threads_than_cpus_wait_for_each_other():
    crowded = waiting(0.5, cpus=BASELINE.workload.threads - 1)
    assert not compare_profiles(crowded, crowded).regressed


def with_decode(one: float, both: float) -> Profile:
    """The baseline, whose tokens take so much longer with one thread and with both."""
    rows = []
    for row in BASELINE.decode:
        factor = one if row.threads == 1 else both
        latency = replace(row.latency, p50_ms=row.latency.p50_ms * factor)
        rows.append(replace(row, latency=latency))
    return replace(BASELINE, decode=tuple(rows))


def test_cpus_that_help_each_other_less_are_not_comparable():
    shared = with_decode(one=1.02, both=2.0)
    for pair in [(shared, BASELINE), (BASELINE, shared)]:
        with pytest.raises(NotComparableError, match="so the CPUs differed; profile both again"):
            compare_profiles(*pair)


@pytest.mark.parametrize(("one", "both"), [(2.0, 2.0), (1.0, 1.2), (1.4, 2.0)])
def test_a_bundle_that_is_slower_with_one_thread_too_is_compared(one, both):
    compare_profiles(with_decode(one, both), BASELINE)
