"""The gate on bundles whose times are made up: what it finds, and how often it is wrong."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.profile.device.answers import THE_CPU, CallTimes, Device
from ossc.runtimes.profile.gate.bundles import compare_bundles
from ossc.runtimes.profile.gate.judgement import LOOKS
from ossc.runtimes.profile.gate.result import Comparison
from ossc.runtimes.profile.gate.rounds import Pair, Phase, run_calls
from ossc.runtimes.profile.places import EmulatedPlace
from ossc.runtimes.profile.workload import Workload, workload_tokens
from ossc.targets.errors import NotComparableError, UsageError
from synthetic.tiny_bundle import write_bundle

WORKLOAD = Workload(prompt_tokens=(4,), depths=(4,), new_tokens=6)

MICROSECONDS = {
    "test_embedding": 60.0,
    "test_router": 2.0,
    "test_store": 20.0,
    "test_mean": 300.0,
    "test_head": 500.0,
}
"""What a call of each kernel takes where nothing disturbs it."""


@dataclass
class FakePlace:
    """A machine whose times are drawn.

    Each process is off by where its memory lies, and calls are hit by other work.
    """

    rng: np.random.Generator
    slowed: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Factors by kernel, by name of the bundle."""
    place_noise: float = 0.01
    hit_share: float = 0.3
    name: str = "fake"
    emulated: bool = False
    devices: Mapping[str, Device] = field(default_factory=dict)
    """By name of the bundle; `THE_CPU` of others."""
    starts: list[str] = field(default_factory=list)
    wanted: set[Any] = field(default_factory=set)
    """What was given as ``device``."""
    calls: list[tuple[str, str, tuple[int, ...]]] = field(default_factory=list)

    def start(self, bundle: Bundle, *how: object) -> Any:
        """Start a process that is not there."""
        self.starts.append(bundle.path.name)
        self.wanted.add(how[-1])
        return FakeRunner(self, bundle)


class FakeRunner:
    """Answers like `Runner`."""

    def __init__(self, place: FakePlace, bundle: Bundle) -> None:
        self.place, self.plan, self.name = place, bundle.plan, bundle.path.name
        kernels = {step.kernel for segment in bundle.plan.segments for step in segment.steps}
        self.hello = SimpleNamespace(device=place.devices.get(self.name, THE_CPU))
        slowed = place.slowed.get(self.name, {})
        self.us = {
            kernel: MICROSECONDS[kernel]
            * slowed.get(kernel, 1.0)
            * np.exp(place.rng.normal(0, place.place_noise))
            for kernel in sorted(kernels)
        }

    def __enter__(self) -> "FakeRunner":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def times(self, on: bool) -> None:
        """Every call is timed."""
        assert on

    def reset(self) -> None:
        """Note it."""
        self.place.calls.append((self.name, "reset", ()))

    def fill(self, position: int) -> None:
        """Note it."""
        self.place.calls.append((self.name, "fill", (position,)))

    def decode(self, token_ids: Sequence[int]) -> Any:
        """Draw times of tokens."""
        self.place.calls.append((self.name, "decode", tuple(token_ids)))
        return SimpleNamespace(times=tuple(self._call(0, 1) for _ in token_ids))

    def prefill(self, token_ids: Sequence[int]) -> Any:
        """Draw times of a prompt."""
        self.place.calls.append((self.name, "prefill", tuple(token_ids)))
        return SimpleNamespace(times=self._call(1, len(token_ids)))

    def _call(self, body: int, tokens: int) -> CallTimes:
        segments = [body, 2]
        steps = [(s, i) for s in segments for i in range(len(self.plan.segments[s].steps))]
        rng = self.place.rng
        us = np.array([self.us[self.plan.segments[s].steps[i].kernel] for s, i in steps])
        noise = 1 + rng.gamma(1.0, 0.02, len(us))
        hit = np.where(rng.random(len(us)) < self.place.hit_share, rng.uniform(1, 4, len(us)), 1)
        return CallTimes(
            begin_ns=0,
            segment=np.array([s for s, _ in steps]),
            step=np.array([i for _, i in steps]),
            num_tokens=np.array([tokens if s == body else 1 for s, _ in steps]),
            ns=(us * noise * hit * 1000).astype(np.int64),
            thread_ns=np.zeros((len(us), 1, 2), np.int64),
        )


@pytest.fixture(scope="module")
def bundles(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("gate")
    return write_bundle(folder / "new"), write_bundle(folder / "old")


def compare(bundles: tuple[Path, Path], place: FakePlace, **changes: Any) -> Comparison:
    return compare_bundles(*bundles, **({"workload": WORKLOAD, "place": place} | changes))


def fake(seed: int, **changes: Any) -> FakePlace:
    return FakePlace(np.random.default_rng(seed), **changes)


def verdicts(comparison: Comparison, phase: str = "decode at 4") -> dict[str | None, str]:
    return {c.kernel: c.verdict for c in comparison.changes if c.phase == phase}


def test_a_slow_kernel_is_caught_and_named_nearly_always(bundles):
    slowed = {"new": {"test_mean": 1.10}}
    results = [compare(bundles, fake(seed, slowed=slowed)) for seed in range(40)]
    found = [verdicts(result)["test_mean"] == "regression" for result in results]
    assert sum(found) >= 38
    wrong = [verdicts(result)["test_head"] == "regression" for result in results]
    assert not any(wrong)


def test_identical_builds_hardly_ever_alarm(bundles):
    results = [compare(bundles, fake(seed)) for seed in range(100, 140)]
    assert sum(result.regressed for result in results) <= 2
    assert Counter(result.verdict for result in results)["no change"] >= 38


def test_all_intervals_hold_at_once(bundles):
    """Without a threshold to spare, every kernel at every look could raise an alarm by chance."""
    results = [compare(bundles, fake(seed), threshold=1e-9) for seed in range(200, 230)]
    assert sum(result.regressed for result in results) <= 3


def test_a_faster_kernel_is_an_improvement(bundles):
    result = compare(bundles, fake(1, slowed={"old": {"test_mean": 1.2}}))
    assert verdicts(result)["test_mean"] == "improvement"
    assert not result.regressed


def test_a_clear_verdict_ends_it_early_and_noise_does_not(bundles):
    clear = compare(bundles, fake(2, slowed={"new": {"test_head": 1.5}}))
    assert clear.rounds == LOOKS[0]
    noisy = compare(bundles, fake(1, place_noise=0.1))
    assert noisy.rounds > LOOKS[0]
    assert noisy.verdict == "too noisy"
    assert not noisy.regressed


def test_noise_that_no_number_of_rounds_would_overcome_ends_it_too(bundles):
    hopeless = compare(bundles, fake(3, place_noise=0.5))
    assert hopeless.rounds < LOOKS[-1]
    assert hopeless.verdict == "too noisy"


def test_small_kernels_do_not_decide(bundles):
    result = compare(bundles, fake(4, slowed={"new": {"test_router": 2.0}}))
    router = next(c for c in result.changes if c.kernel == "test_router")
    assert router.verdict == "regression"
    assert not router.judged
    assert not result.regressed


def test_both_sides_run_the_same_tokens_in_turn_in_new_processes(bundles):
    place = fake(5)
    result = compare(bundles, place)
    assert len(place.starts) == 2 * result.rounds
    assert place.starts[:4] == ["new", "old", "old", "new"]
    decodes = [(name, ids) for name, what, ids in place.calls if what == "decode"]
    assert len({ids for _, ids in decodes if len(ids) == len(decodes[-1][1])}) == 1
    counts = Counter(name for name, _ in decodes)
    assert counts["new"] == counts["old"]
    assert {ids for _, what, ids in place.calls if what == "fill"} == {(4,)}


def test_the_first_token_of_a_slice_does_not_count(bundles):
    """It finds the caches full of the other side's data."""
    bundle, place = Bundle.open(bundles[0]), fake(9)
    pair = Pair(
        current=bundle,
        baseline=bundle,
        workload=WORKLOAD,
        tokens=workload_tokens(WORKLOAD, bundle.plan.vocab_size),
        place=place,
    )
    runner: Any = FakeRunner(place, bundle)
    assert len(run_calls(runner, Phase("decode", 4), 3, pair)) == 3
    _, what, ids = place.calls[-1]
    assert (what, len(ids)) == ("decode", 4)
    assert len(run_calls(runner, Phase("prefill", 4), 3, pair)) == 3


def test_the_threshold_is_the_callers(bundles):
    slowed = {"new": {"test_mean": 1.10}}
    assert compare(bundles, fake(6, slowed=slowed), threshold=0.05).regressed
    assert not compare(bundles, fake(6, slowed=slowed), threshold=0.25).regressed


def test_an_emulator_has_no_times_to_compare(bundles):
    with pytest.raises(NotComparableError, match="qemu:aarch64"):
        compare_bundles(*bundles, WORKLOAD, place=EmulatedPlace("aarch64"))


def test_two_models_are_not_comparable(bundles, tmp_path):
    other = write_bundle(tmp_path / "other", model={"model_type": "another"})
    with pytest.raises(NotComparableError, match="model_type"):
        compare_bundles(bundles[0], other, WORKLOAD, place=fake(7))


@pytest.mark.parametrize("changes", [{"name": "another"}, {"driver": "2"}, {"kind": "opencl"}])
def test_two_devices_are_not_comparable(bundles, changes):
    place = fake(7, devices={"old": replace(THE_CPU, **changes)})
    with pytest.raises(NotComparableError, match=r"different devices .* choose one with --device"):
        compare(bundles, place)


def test_both_sides_run_on_the_device_that_is_asked_for(bundles):
    place = fake(6, slowed={"new": {"test_mean": 1.5}})
    compare(bundles, place, workload=replace(WORKLOAD, device="opencl:1"))
    assert place.wanted == {"opencl:1"}


def test_the_workload_has_to_fit(bundles):
    with pytest.raises(UsageError, match="context"):
        compare_bundles(*bundles, replace(WORKLOAD, depths=(1000,)), place=fake(8))
