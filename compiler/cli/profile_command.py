"""``ossc profile``: where the time goes, and whether it became more."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ossc.compiler.cli.base import OsscCommand
from ossc.compiler.cli.progress import terminal_progress
from ossc.compiler.cli.session_options import (
    device_option,
    kv_option,
    threads_option,
    weights_option,
)
from ossc.compiler.progress import Reporter
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.weights_mode import WeightsMode
from ossc.targets import resolve_target
from ossc.targets.errors import OutputError, UsageError

if TYPE_CHECKING:
    from ossc.runtimes.bundle import Bundle
    from ossc.runtimes.profile.gate.result import Comparison
    from ossc.runtimes.profile.places import Place
    from ossc.runtimes.profile.prediction.report import PredictionReport
    from ossc.runtimes.profile.profile import Profile
    from ossc.runtimes.profile.roofline import Roofline
    from ossc.runtimes.profile.workload import Workload


@click.command("profile", cls=OsscCommand)
@click.argument("bundles", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--prompt-tokens",
    multiple=True,
    type=click.IntRange(1),
    metavar="N",
    help="Length of the prompt; give it again for more lengths.  [default: 128]",
)
@click.option(
    "--new-tokens",
    type=click.IntRange(2),
    default=32,
    show_default=True,
    metavar="N",
    help="Tokens decoded in each repeat.",
)
@click.option(
    "--depth",
    "depths",
    multiple=True,
    type=click.IntRange(1),
    metavar="N",
    help="Position in the context at which decoding begins; give it again for more. Beyond the "
    "prompt the KV cache is filled, not computed.  [default: the end of the prompt]",
)
@click.option(
    "--text",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Text whose tokens are run, so that experts are chosen as on such text.  "
    "[default: random tokens, always the same]",
)
@click.option(
    "--repeats",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    metavar="N",
    help="How often everything is measured, with and without timestamps.",
)
@threads_option
@weights_option
@kv_option
@device_option
@click.option(
    "--on",
    "where",
    default="local",
    show_default=True,
    metavar="WHERE",
    help="local, ssh://[user@]host[:port], or qemu:ARCH. A remote machine needs an SSH server and "
    "a key that it accepts; the bundle is copied there. Times under qemu are of the emulator.",
)
@click.option(
    "--baseline",
    type=click.Path(path_type=Path),
    metavar="FILE|BUNDLE",
    help="Compare with an earlier profile (JSON), or with another bundle in interleaved runs.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, min_open=True),
    metavar="F",
    help="Slowdown over the baseline that is a regression, as a fraction.  [default: 0.05]",
)
@click.option("--compare", is_flag=True, help="Print several bundles side by side.")
@click.option(
    "--predict",
    "predicting",
    is_flag=True,
    help="Run nothing: estimate from the plan and the limits of --target or --roofline.",
)
@click.option(
    "--target",
    metavar="TARGET",
    help="Machine to predict for, see `ossc targets`.  [default: the bundle's]",
)
@click.option(
    "--roofline",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Predict with the limits measured in this profile (JSON).",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "html"]),
    default="table",
    show_default=True,
    help="table for a terminal, json for programs, html for one page with plots.",
)
@click.option(
    "--trace",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also write one token's steps as a trace for ui.perfetto.dev.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write there instead of to stdout.",
)
def command(
    bundles: tuple[Path, ...],
    prompt_tokens: tuple[int, ...],
    new_tokens: int,
    depths: tuple[int, ...],
    text: Path | None,
    repeats: int,
    threads: int | None,
    weights: WeightsMode,
    kv: KvType | None,
    device: str | None,
    where: str,
    baseline: Path | None,
    threshold: float | None,
    compare: bool,
    predicting: bool,
    target: str | None,
    roofline: Path | None,
    form: str,
    trace: Path | None,
    out: Path | None,
) -> None:
    """Measure where the time of BUNDLE goes: start, prefill, decode, every kernel and expert.

    \b
    ossc profile bundle                               a table
    ossc profile bundle --format html --out page.html roofline, timeline, experts
    ossc profile bundle --depth 128 --depth 4096      decode deep in the context
    ossc profile new --baseline old                   exit status 1 if new is slower than old
    ossc profile bundle --predict --target cpu:x86-64-v3
    ossc profile bundle --on ssh://pi@raspberrypi
    ossc profile a b c --compare

    The profile is of --device. Its limits are measured through its driver with OpenCL, and are left
    out with CUDA; a driver of a CPU is called one, and none of its times a GPU's.

    Keep other work off the machine: the table says how noisy it was. Exit status: 0 done, 1 slower
    than the baseline, 3 not comparable with it.
    """  # noqa: D301 - click reads the character \b
    from ossc.runtimes.profile.measure import profile_bundle
    from ossc.runtimes.profile.places import find_place
    from ossc.runtimes.profile.workload import Workload

    _check_usage(
        bundles, baseline, threshold, compare, predicting, target, roofline, trace, out, form
    )
    workload = Workload(
        prompt_tokens=prompt_tokens,
        depths=depths,
        new_tokens=new_tokens,
        repeats=repeats,
        threads=threads,
        weights=weights,
        kv=kv,
        device=device,
        token_ids=_token_ids(bundles[0], text),
    )
    if predicting:
        _write(out, _predictions(bundles, workload, target, roofline, form))
        return
    place = find_place(where)
    if baseline is not None:
        with terminal_progress() as progress:
            comparison = _comparison(bundles[0], baseline, workload, threshold, place, progress)
        _write(out, comparison.to_json() if form == "json" else str(comparison))
        sys.exit(1 if comparison.regressed else 0)
    with terminal_progress() as progress:
        profiles = [profile_bundle(path, workload, place, progress.phase) for path in bundles]
    _write(out, _render(profiles, form, compare))
    if trace is not None:
        from ossc.runtimes.profile.report.trace import to_trace

        _write(trace, to_trace(profiles[0]))


def _check_usage(
    bundles: Sequence[Path],
    baseline: Path | None,
    threshold: float | None,
    compare: bool,
    predicting: bool,
    target: str | None,
    roofline: Path | None,
    trace: Path | None,
    out: Path | None,
    form: str,
) -> None:
    single = len(bundles) == 1
    faults = {
        "--baseline compares one bundle; give one.": baseline is not None and not single,
        "--threshold is for --baseline; give both.": threshold is not None and baseline is None,
        "--compare prints several bundles side by side; give more than one.": compare and single,
        "--trace shows one bundle; give one.": trace is not None and not single,
        "--predict runs nothing, so there is nothing to compare or to trace; leave one out.": (
            predicting and (baseline is not None or trace is not None or compare)
        ),
        "--baseline prints a comparison and no trace; leave one out.": (
            baseline is not None and trace is not None
        ),
        "--target and --roofline say what to --predict for; give that too.": (
            (target is not None or roofline is not None) and not predicting
        ),
        "--target and --roofline both say what to predict for; give one.": (
            target is not None and roofline is not None
        ),
        "--format html shows one bundle that was measured; choose table or json.": (
            form == "html" and (not single or baseline is not None or predicting)
        ),
    }
    for message, holds in faults.items():
        if holds:
            raise UsageError(message)
    for file in (out, trace):  # not first when everything has been measured
        if file is not None and (file.is_dir() or not file.parent.is_dir()):
            raise UsageError(f"{file} cannot be a file; give a file in a folder that exists.")


def _token_ids(bundle: Path, text: Path | None) -> tuple[int, ...]:
    if text is None:
        return ()
    from ossc.compiler.text.utf8_text import read_utf8
    from ossc.runtimes.tokenizer import BundleTokenizer

    token_ids = BundleTokenizer.open(bundle).encode(read_utf8(text))
    if not token_ids:
        raise UsageError(f"{text} is empty; give a text.")
    return tuple(token_ids)


def _predictions(
    bundles: Sequence[Path],
    workload: "Workload",
    target: str | None,
    roofline: Path | None,
    form: str,
) -> str:
    from ossc.runtimes.profile.prediction.report import predictions_json

    reports = [_prediction(bundle, workload, target, roofline) for bundle in bundles]
    return predictions_json(reports) if form == "json" else "\n\n".join(map(str, reports))


def _prediction(
    path: Path, workload: "Workload", target: str | None, roofline: Path | None
) -> "PredictionReport":
    from ossc.runtimes.bundle import Bundle
    from ossc.runtimes.profile.prediction.report import predict_workload

    bundle = Bundle.open(path, kv=workload.kv)
    return predict_workload(bundle, workload, _limits(bundle, target, roofline))


def _limits(bundle: "Bundle", target: str | None, profile: Path | None) -> "Roofline":
    from ossc.runtimes.profile.profile_json import read_profile

    if profile is not None:
        measured = read_profile(profile).roofline
        if measured is None:
            raise UsageError(
                f"{profile} has no limits of a machine; give the profile of another one, not "
                "emulated."
            )
        return measured
    name = target or bundle.manifest.target.name
    recorded = resolve_target(name).roofline
    if recorded is None:
        raise UsageError(
            f"No machine of target {name} was measured; profile a bundle on one with "
            "--format json, and give that file with --roofline."
        )
    return recorded


def _comparison(
    bundle: Path,
    baseline: Path,
    workload: "Workload",
    threshold: float | None,
    place: "Place",
    progress: Reporter,
) -> "Comparison":
    from ossc.runtimes.profile.gate.bundles import compare_bundles
    from ossc.runtimes.profile.gate.profiles import compare_profiles
    from ossc.runtimes.profile.gate.result import DEFAULT_THRESHOLD
    from ossc.runtimes.profile.measure import profile_bundle
    from ossc.runtimes.profile.profile_json import read_profile

    threshold = threshold or DEFAULT_THRESHOLD
    if baseline.is_dir():
        return compare_bundles(bundle, baseline, workload, threshold, place, progress.phase)
    earlier = read_profile(baseline)
    return compare_profiles(
        profile_bundle(bundle, workload, place, progress.phase), earlier, threshold
    )


def _render(profiles: Sequence["Profile"], form: str, compare: bool) -> str:
    if form == "html":
        from ossc.runtimes.profile.report.html import to_html

        return to_html(profiles[0])
    if form == "json":
        from ossc.runtimes.profile.profile_json import to_json

        texts = [to_json(profile) for profile in profiles]
        return texts[0] if len(texts) == 1 else f"[{','.join(texts)}]"
    from ossc.runtimes.profile.report.comparison import to_comparison
    from ossc.runtimes.profile.report.table import to_table

    return to_comparison(profiles) if compare else "\n".join(map(to_table, profiles))


def _write(out: Path | None, text: str) -> None:
    if out is None:
        click.echo(text.removesuffix("\n"))
        return
    try:
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{out} cannot be written ({error.strerror}); choose another place, with room."
        ) from error
