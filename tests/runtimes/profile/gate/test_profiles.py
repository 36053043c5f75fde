"""Comparison of two profiles, with the limits of their machines."""

from dataclasses import replace

import pytest

from ossc.runtimes.profile.gate.profiles import compare_profiles
from ossc.runtimes.profile.gate.result import Change, Comparison
from ossc.runtimes.profile.gate.scaling import MAX_FACTOR, Scale
from ossc.runtimes.profile.profile import Profile
from ossc.targets.errors import NotComparableError
from profile_example import CONDITIONS, example_profile, with_conditions

BASELINE = example_profile()


def kernels(comparison: Comparison, operation: str, phase: str) -> list[Change]:
    return [
        change
        for change in comparison.changes
        if change.kernel and change.kernel.startswith(operation) and change.phase.startswith(phase)
    ]


def with_limits(profile: Profile, factor: float) -> Profile:
    """The same times on a machine whose every limit is so much slower."""
    assert profile.roofline is not None
    limits = replace(
        profile.roofline,
        read_gb_per_s={
            size: rate / factor for size, rate in profile.roofline.read_gb_per_s.items()
        },
        f32_gflops=profile.roofline.f32_gflops / factor,
        int8_gops=profile.roofline.int8_gops / factor,
        launch_ns=profile.roofline.launch_ns * factor,
    )
    rate = CONDITIONS.read_gb_per_s / factor
    return with_conditions(replace(profile, roofline=limits), read_gb_per_s=rate)


def slower(factor: float, seed: int = 1) -> Profile:
    """Every kernel takes so much longer."""
    operations = {row.operation for row in BASELINE.kernels}
    return example_profile(slowed=dict.fromkeys(operations, factor), seed=seed)


def test_two_measurements_of_one_bundle_do_not_differ():
    alarms = [compare_profiles(example_profile(seed=s), BASELINE).regressed for s in range(1, 11)]
    assert not any(alarms)


def test_a_profile_does_not_differ_from_itself():
    comparison = compare_profiles(BASELINE, BASELINE)
    assert not comparison.regressed
    assert comparison.changes[0].verdict == "no change"
    assert all(change.ratio == pytest.approx(1) for change in comparison.changes)


def test_a_slow_kernel_is_named_though_the_token_hardly_changes():
    current = example_profile(slowed={"expert_linear": 1.15}, seed=2)
    comparison = compare_profiles(current, BASELINE)
    assert comparison.regressed
    (slow,) = kernels(comparison, "expert_linear", "decode")
    assert slow.verdict == "regression"
    assert slow.ratio == pytest.approx(1.15, abs=0.02)
    assert all(c.verdict == "no change" for c in kernels(comparison, "expert_swiglu", "decode"))
    assert "REGRESSION" in str(comparison)


def test_a_slower_machine_excuses_what_its_limits_explain():
    current = with_limits(slower(1.2), 1.2)
    comparison = compare_profiles(current, BASELINE)
    assert not comparison.regressed
    decode = next(change for change in comparison.changes if change.kernel is None)
    assert decode.scale == pytest.approx(1.2, abs=0.05)
    assert decode.ratio == pytest.approx(1, abs=0.05)


def test_a_faster_machine_is_expected_to_be_faster():
    """The same times though every limit rose: what the limits explain should have become less."""
    comparison = compare_profiles(with_limits(example_profile(seed=3), 1 / 1.2), BASELINE)
    assert comparison.regressed


def test_without_scaling_the_machine_would_be_blamed():
    assert compare_profiles(slower(1.2), BASELINE).regressed


@pytest.mark.parametrize("factor", [1.3, 1 / 1.3], ids=["slower", "faster"])
def test_machines_that_differ_too_much_are_not_comparable(factor):
    with pytest.raises(NotComparableError, match=f"times are scaled up to {MAX_FACTOR}"):
        compare_profiles(with_limits(BASELINE, factor), BASELINE)


def test_kernels_of_another_symbol_are_matched_by_their_operation():
    renamed = tuple(
        replace(row, kernel=f"{row.kernel}_avx512") if row.operation == "expert_linear" else row
        for row in BASELINE.kernels
    )
    comparison = compare_profiles(replace(BASELINE, kernels=renamed), BASELINE)
    (change,) = kernels(comparison, "expert_linear", "decode")
    assert change.kernel == f"{change.baseline_kernel}_avx512"
    assert not comparison.unmatched


def test_a_kernel_without_a_counterpart_is_listed():
    fused = replace(BASELINE.kernels[0], kernel="fused", operation="fused")
    current = replace(BASELINE, kernels=(fused, *BASELINE.kernels))
    (rest,) = compare_profiles(current, BASELINE).unmatched
    assert (rest.kernel, rest.side, rest.phase) == ("fused", "current", "decode")


def test_a_scale_is_sure_only_of_what_the_limit_explains():
    full = Scale.of(1.2, explained=1.0, error=0.0)
    assert (full.low, full.high) == pytest.approx((1.2, 1.2))
    half = Scale.of(1.2, explained=0.5, error=0.0)
    assert (half.low, half.high) == pytest.approx((1.1, 1.2))
    faster = Scale.of(0.8, explained=0.5, error=0.1)
    assert (faster.low, faster.high) == pytest.approx((0.8 / 1.1, 0.9 * 1.1))


def test_launches_that_were_measured_otherwise_refuse_nothing_and_judge_little():
    """A launch is cheap or dear by whether threads still spin: the same machine gives both."""
    assert BASELINE.roofline is not None
    limits = replace(BASELINE.roofline, launch_ns=6 * BASELINE.roofline.launch_ns)
    for pair in [(replace(BASELINE, roofline=limits), BASELINE),
                 (BASELINE, replace(BASELINE, roofline=limits))]:  # fmt: skip
        assert not compare_profiles(*pair).regressed


def test_caches_that_were_measured_otherwise_do_not_alarm():
    assert BASELINE.roofline is not None
    small = with_conditions(BASELINE, working_set_bytes=2**20, read_gb_per_s=168.0)
    here = with_conditions(
        example_profile(seed=4), working_set_bytes=2**20, read_gb_per_s=1.12 * 168.0
    )
    assert not compare_profiles(here, small).regressed


def test_each_depth_is_scaled_by_the_bandwidth_that_was_probed_beside_it():
    """The machine was faster while the second depth was measured, and its tokens were not."""
    rows = list(BASELINE.decode)
    assert rows[1].conditions is not None
    rows[1] = replace(rows[1], conditions=replace(rows[1].conditions, read_gb_per_s=1.2 * 31.4))
    comparison = compare_profiles(replace(BASELINE, decode=tuple(rows)), BASELINE)
    verdicts = {c.phase: c.verdict for c in comparison.changes if c.kernel is None}
    assert verdicts["decode at 0"] == "regression"
    assert verdicts["decode at 1024"] == "no change"


def test_limits_measured_twice_are_the_same():
    assert Scale.of(1.05, explained=0.9, error=0.06) == Scale(1.0, 1.0, 1.0)
