"""How often does the gate catch a kernel that became 10 % slower, and how often is it wrong?

    PYTHONPATH=.links:tests python tests/benchmarks/regression_gate.py

Each slow bundle is the model's, with one kernel that waits after its work, so long that its steps
take a tenth longer: a first comparison tells how much of a step is the kernel's own work. The
kernel is one of those that hold at least a tenth of decode, in turn. Half of the comparisons are of
such a bundle with a sound one, half of two sound ones. For every comparison both are copied anew,
because where a file's pages lie changes times, too.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from statistics import median

from ossc.compiler.pipeline import compile_model
from ossc.compiler.recipe import Recipe
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.profile.gate.bundles import compare_bundles
from ossc.runtimes.profile.gate.result import Change, Comparison
from ossc.runtimes.profile.workload import Workload
from slowed_bundle import slowed_bundle

SAMPLE_MODEL = Path(__file__).parents[1] / "sample_model" / "checkpoint"
PERCENT = 10
SHARE = 0.10


def slow_candidates(bundle: Path, comparison: Comparison) -> list[str]:
    """List the kernels with at least a tenth of decode that are split over the threads."""
    steps = Bundle.open(bundle).plan.segment("decode").steps
    ranged = {step.kernel for step in steps if step.ranged}
    return [
        change.kernel
        for change in comparison.changes
        if change.phase.startswith("decode")
        and change.kernel is not None
        and change.share >= SHARE
        and change.kernel in ranged
    ]


def compare_copies(current: Path, baseline: Path, folder: Path) -> tuple[Comparison, float]:
    """Compare fresh copies; returns the seconds that it took, too."""
    pair = [folder / "current", folder / "baseline"]
    for source, copy in zip((current, baseline), pair, strict=True):
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(source, copy)
    begin = time.perf_counter()
    return compare_bundles(*pair, Workload()), time.perf_counter() - begin


def of_kernel(comparison: Comparison, kernel: str) -> Change:
    """Return what the comparison says of a kernel."""
    return next(change for change in comparison.changes if change.kernel == kernel)


def slow_bundle(model: Path, kernel: str, sound: Path, folder: Path) -> Path:
    """Make a bundle in which the steps of a kernel take `PERCENT` % longer, as near as one can."""
    first = slowed_bundle(Recipe(model=model, out=folder / f"first {kernel}"), kernel, PERCENT)
    comparison, _ = compare_copies(first, sound, folder)
    added = 100 * (of_kernel(comparison, kernel).ratio - 1)
    percent = round(PERCENT * PERCENT / added)
    print(
        f"{kernel}: {PERCENT} % of its work are {added:.1f} % of its steps; {percent} % are taken"
    )
    return slowed_bundle(Recipe(model=model, out=folder / f"slow {kernel}"), kernel, percent)


def report(title: str, comparison: Comparison, seconds: float) -> None:
    """Print one line of a comparison."""
    regressions = [
        f"{change.phase}: {change.kernel} {100 * (change.ratio - 1):+.1f} %"
        for change in comparison.changes
        if change.judged and change.verdict == "regression"
    ]
    outcome = f"{comparison.verdict}, {comparison.rounds} rounds, {seconds:.0f} s"
    print(f"{title}: {outcome} {'; '.join(regressions)}", flush=True)


def main() -> None:
    """Print each comparison, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model", type=Path, default=SAMPLE_MODEL, help="checkpoint; default: sample"
    )
    parser.add_argument("--runs", type=int, default=40, help="of each kind")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        sound = compile_model(Recipe(model=options.model, out=folder / "sound"))
        first, _ = compare_copies(sound, sound, folder)
        kernels = slow_candidates(sound, first)
        slow = [slow_bundle(options.model, kernel, sound, folder) for kernel in kernels]
        caught = named = alarms = 0
        ratios = []
        for run in range(options.runs):
            kernel, bundle = kernels[run % len(kernels)], slow[run % len(kernels)]
            comparison, seconds = compare_copies(bundle, sound, folder)
            change = of_kernel(comparison, kernel)
            ratios.append(change.ratio)
            caught += comparison.regressed
            named += change.verdict == "regression"
            report(f"slow {run} {kernel} {100 * (change.ratio - 1):+.1f} %", comparison, seconds)
            comparison, seconds = compare_copies(sound, sound, folder)
            alarms += comparison.regressed
            report(f"same {run}", comparison, seconds)
    print(f"slow: {caught} of {options.runs} caught, {named} with the right kernel, ", end="")
    print(f"{100 * (median(ratios) - 1):+.1f} % in the median")
    print(f"same: {alarms} of {options.runs} false alarms")


if __name__ == "__main__":
    main()
