"""Profiles that say nothing about each other."""

from dataclasses import replace

import pytest

from ossc.runtimes.profile.gate.profiles import compare_profiles
from ossc.runtimes.profile.profile import Profile
from ossc.targets.errors import NotComparableError
from profile_example import driver_profile, emulated_profile, example_profile, with_conditions

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


@pytest.mark.parametrize("changes", [{"name": "another"}, {"driver": "3.2"}])
def test_another_device_or_driver_is_not_comparable(changes):
    pair = driver_profile(), driver_profile(**changes)
    with pytest.raises(NotComparableError, match="different devices") as refused:
        compare_profiles(*pair)
    assert all(part in str(refused.value) for part in ("pthread", "3.1", *changes.values()))


def test_one_device_behind_a_driver_is_compared_with_itself():
    comparison = compare_profiles(driver_profile(), driver_profile())
    assert {change.ratio for change in comparison.changes} == {1.0}
    assert not comparison.regressed


def test_a_device_without_limits_is_not_comparable():
    pair = driver_profile(limits=False), driver_profile(limits=False)
    with pytest.raises(NotComparableError, match=r"no limits of its device .no probes for cuda"):
        compare_profiles(*pair)


WAITED = {"repeats": 15, "steady": False, "most_waited": 0.31}
FLIPPED = {"repeats": 2, "left_out": 13, "lowest_gb_per_s": 41.0, "highest_gb_per_s": 80.4}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param(WAITED, "threads waited up to 31% of their time for a CPU", id="other-work"),
        pytest.param(FLIPPED, "reading went from 41.0 to 80.4 GB/s", id="bandwidth"),
    ],
)
def test_times_of_a_machine_that_changed_are_not_comparable(changes, fault):
    changed = with_conditions(BASELINE, **changes)
    for pair, side in [((changed, BASELINE), "this bundle"), ((BASELINE, changed), "the baseline")]:
        with pytest.raises(NotComparableError) as refused:
            compare_profiles(*pair)
        sentence = str(refused.value)
        assert f"while decode at 1024 of {side} was measured, {fault}" in sentence
        assert "fewer than 3 of 15 repeats can be trusted" in sentence
        assert refused.value.exit_code == 3


def test_repeats_that_were_left_out_do_not_matter_when_enough_count():
    changed = with_conditions(BASELINE, **FLIPPED | {"repeats": 3})
    assert not compare_profiles(changed, BASELINE).regressed


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


def test_what_the_bandwidth_of_all_threads_explains_is_no_fault_of_the_cpus():
    """Two threads that read 1.2 times as fast help each other more."""
    decode = with_decode(one=1.0, both=1 / 1.4)
    compare_profiles(with_conditions(decode, read_gb_per_s=1.2 * 31.4), BASELINE)
    with pytest.raises(NotComparableError, match="so the CPUs differed"):
        compare_profiles(decode, BASELINE)
