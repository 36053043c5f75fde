"""Verdicts, and what a comparison prints."""

import json

import pytest

from ossc.runtimes.profile.gate.result import Change, Comparison, Unmatched, in_order, judge


@pytest.mark.parametrize(
    ("low", "ratio", "high", "verdict"),
    [
        pytest.param(1.06, 1.10, 1.14, "regression", id="all-beyond"),
        pytest.param(1.04, 1.10, 1.14, "too noisy", id="partly-beyond"),
        pytest.param(0.80, 0.90, 1.06, "too noisy", id="wide"),
        pytest.param(1.01, 1.02, 1.04, "no change", id="slower-within-the-threshold"),
        pytest.param(0.97, 1.00, 1.03, "no change", id="around-one"),
        pytest.param(0.90, 0.93, 0.97, "improvement", id="faster"),
        pytest.param(0.96, 0.97, 0.98, "no change", id="faster-within-the-threshold"),
    ],
)
def test_an_interval_is_judged_by_where_it_lies(low, ratio, high, verdict):
    assert judge(low, ratio, high, 0.05) == verdict


def change(**changes) -> Change:
    fields = {
        "phase": "decode at 128",
        "kernel": "linear_n1",
        "baseline_kernel": "linear_n1",
        "baseline_ms": 1.0,
        "current_ms": 1.1,
        "share": 0.3,
        "scale": 1.0,
        "ratio": 1.1,
        "low": 1.08,
        "high": 1.12,
        "judged": True,
        "verdict": "regression",
    }
    return Change(**(fields | changes))


def total(**changes) -> Change:
    return change(
        **{
            "kernel": None,
            "baseline_kernel": None,
            "ratio": 1.03,
            "low": 1.02,
            "high": 1.04,
            "share": 1.0,
            "verdict": "no change",
        }
        | changes
    )


def comparison(*changes: Change, unmatched: tuple[Unmatched, ...] = ()) -> Comparison:
    return Comparison(
        method="interleaved",
        current="new",
        baseline="old",
        threshold=0.05,
        rounds=12,
        changes=changes,
        unmatched=unmatched,
    )


def test_a_kernel_beyond_the_threshold_is_a_regression_though_the_phase_is_not():
    found = comparison(total(), change())
    assert found.regressed
    assert found.verdict == "regression"
    assert "REGRESSION beyond 5.0 %: decode at 128: linear_n1 +10.0 % (+8.0 % to +12.0 %)." in str(
        found
    )


def test_a_small_kernel_is_shown_and_does_not_decide():
    found = comparison(total(), change(share=0.02, judged=False))
    assert not found.regressed
    assert found.verdict == "no change"
    assert " small\n" in str(found)
    assert "No change beyond 5.0 %." in str(found)


def test_noise_is_no_regression_but_is_said():
    found = comparison(total(), change(low=1.01, verdict="too noisy"))
    assert not found.regressed
    assert found.verdict == "too noisy"
    assert "1 of 2 times are too noisy" in str(found)


def test_an_improvement_counts_only_where_nothing_is_unclear():
    faster = change(ratio=0.8, low=0.78, high=0.82, verdict="improvement")
    assert comparison(total(), faster).verdict == "improvement"
    assert comparison(total(verdict="too noisy"), faster).verdict == "too noisy"


def test_json_has_every_field_and_the_verdict():
    rest = Unmatched(phase="decode at 128", kernel="fused_n1", side="current", ms=0.25)
    fields = json.loads(
        comparison(total(), change(low=None, high=None), unmatched=(rest,)).to_json()
    )
    assert fields["verdict"] == "regression"
    assert fields["schema_version"] == 1
    assert fields["changes"][1]["low"] is None
    assert fields["unmatched"] == [
        {"phase": "decode at 128", "kernel": "fused_n1", "side": "current", "ms": 0.25}
    ]


def test_kernels_without_a_counterpart_are_named():
    rest = Unmatched(phase="decode at 128", kernel="fused_n1", side="current", ms=0.25)
    assert "decode at 128: fused_n1 is new, 250 µs" in str(comparison(total(), unmatched=(rest,)))


def test_lines_fit_a_terminal_and_hold_no_control_character():
    name = f"\x1b[2J{'long_name_' * 20}"
    kernels = [change(kernel=f"{name}{i}", judged=i < 3) for i in range(12)]
    found = comparison(total(), *kernels)
    assert all(len(line) <= 100 and line.isprintable() for line in str(found).splitlines())
    assert "5 more small kernels" in str(found)


def test_phases_come_first_and_kernels_by_their_time():
    changes = [
        change(kernel="short", current_ms=0.1),
        change(phase="prefill of 8", current_ms=9),
        change(kernel="long", current_ms=0.9),
        total(),
    ]
    assert [c.kernel for c in in_order(changes)] == [None, "long", "short", "linear_n1"]
