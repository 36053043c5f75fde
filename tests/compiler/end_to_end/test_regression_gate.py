"""The gate on real bundles: one whose kernel does everything twice, and one that is the same.

The slowdown and the threshold are far larger than the gate's own, so that no load on the machine
can change the outcome. How small a slowdown it finds is measured by
tests/benchmarks/regression_gate.py.
"""

import shutil
from pathlib import Path

import pytest

from compiled import Build, Compile
from ossc.compiler.backends.cpu.backend import CpuBackend
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.profile.gate.bundles import compare_bundles
from ossc.runtimes.profile.gate.result import Comparison
from ossc.runtimes.profile.workload import Workload
from ossc.runtimes.session import Session
from slowed_bundle import slowed_bundle

WORKLOAD = Workload(prompt_tokens=(16,), depths=(16,), new_tokens=17, threads=1)
THRESHOLD = 0.25


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch):
    """A loaded machine makes what is sound too noisy, which more rounds would not change."""
    for module in ("bundles", "judgement"):
        monkeypatch.setattr(f"ossc.runtimes.profile.gate.{module}.LOOKS", (12, 16))


@pytest.fixture(scope="module")
def sound(compiled: Compile) -> Path:
    return compiled(Build()).bundle


@pytest.fixture(scope="module")
def kernel(sound: Path) -> str:
    """The kernel of decode with the most tasks: a product of experts."""
    steps = Bundle.open(sound).plan.segment("decode").steps
    return max(steps, key=lambda step: step.tasks_fixed).kernel


@pytest.fixture(scope="module")
def slow(compiled: Compile, kernel: str, backend: CpuBackend, tmp_path_factory) -> Path:
    recipe = compiled(Build()).recipe(out=tmp_path_factory.mktemp("slow") / "bundle")
    return slowed_bundle(recipe, kernel, percent=100, backend=backend)


def compare(current: Path, baseline: Path) -> Comparison:
    return compare_bundles(current, baseline, WORKLOAD, THRESHOLD)


def test_a_kernel_that_does_everything_twice_is_caught_and_named(sound, slow, kernel):
    comparison = compare(slow, sound)
    assert comparison.regressed
    (change,) = (c for c in comparison.changes if c.kernel == kernel)
    assert change.verdict == "regression"
    assert change.baseline_kernel == kernel


def test_the_other_way_round_it_is_faster(sound, slow, kernel):
    comparison = compare(sound, slow)
    assert not comparison.regressed
    (change,) = (c for c in comparison.changes if c.kernel == kernel)
    assert change.ratio < 1


def test_a_copy_does_not_alarm(sound, tmp_path):
    copy = shutil.copytree(sound, tmp_path / "copy")
    comparison = compare(copy, sound)
    assert not comparison.regressed
    assert {change.phase for change in comparison.changes} == {"decode at 16", "prefill of 16"}
    assert not comparison.unmatched


def test_the_slow_bundle_says_the_same(sound, slow):
    """What it repeats can be repeated: the slowdown is real, and nothing else changed."""
    with Session(sound, threads=1) as first, Session(slow, threads=1) as second:
        assert (first.prefill([1, 2, 3]) == second.prefill([1, 2, 3])).all()
        assert (first.decode(4) == second.decode(4)).all()
