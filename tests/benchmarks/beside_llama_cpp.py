"""Our speed beside llama.cpp's: the same weights, the same tokens, in turn.

    PYTHONPATH=.links:tests python tests/benchmarks/beside_llama_cpp.py --work DIR --shape 4-layer

builds llama.cpp from the sources of its Python package, makes the model in the forms of both sides,
and measures A B A B: one program at a time, its file in the page cache before the clock starts. It
prints a table, writes JSON, and ends with status 3 when the machine was too noisy for a verdict.
docs/benchmarks.md says what the rows mean.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import click

from benchmarks.beside.contest import Contest, Samples
from benchmarks.beside.limits import Dense
from benchmarks.beside.machine import (
    Limits,
    describe_machine,
    median_limits,
    probe_limits,
    row_limits,
)
from benchmarks.beside.models import Models, Shape, discard, prepare_models
from benchmarks.beside.peer import REQUIREMENT, build_peer
from benchmarks.beside.rows import Hooks, Row, SessionSize, all_rows
from benchmarks.beside.sides import LLAMA_CPP_MODES, OSSC_MODES, llama_cpp_side, ossc_side
from benchmarks.beside.table import Line, format_limits, format_table, make_line
from ossc.compiler.config import ModelConfig, read_model_config

NO_VERDICT = 3
"""Exit status."""


def choose_rows(rows: Sequence[Row], keys: str | None) -> list[Row]:
    """Return the rows that the user named, or all but the cold start, which drops caches."""
    if keys is None:
        return [row for row in rows if row.key != "start_cold"]
    named = keys.split(",")
    known = {row.key: row for row in rows}
    if unknown := sorted(set(named) - set(known)):
        raise click.BadParameter(f"{unknown[0]!r} is none of: {', '.join(known)}")
    return [row for row in rows if row.key in named]


def measure(contest: Contest) -> tuple[tuple[Samples, Samples], dict[int, list[Limits]]]:
    """Run all rounds, and probe the machine's limits before each of them.

    Raises:
        MeasurementError: A program failed.
    """
    side = next(iter(contest.ours.values()))
    probed: dict[int, list[Limits]] = {row.threads: [] for row in contest.rows}

    def probe() -> None:
        for threads, rounds in probed.items():
            rounds.append(probe_limits(side, threads, contest.hooks))

    return contest.run(lambda line: click.echo(line, err=True), probe), probed


def make_lines(
    contest: Contest, samples: tuple[Samples, Samples], limits: dict[int, Limits], **work: Any
) -> list[Line]:
    """Compare row by row; a row that a failing mode left out is left out."""
    ours, theirs = samples
    return [
        make_line(
            row,
            ours[row.key],
            theirs[row.key],
            row_limits(row, limits[row.threads], **work),
        )
        for row in contest.rows
        if ours[row.key] and theirs[row.key]
    ]


def make_contest(
    models: Models, config: ModelConfig, python: Path, options: dict[str, Any]
) -> Contest:
    """Combine the sides' modes with the user's options."""
    threads = options["threads"]
    ossc_flags, peer_flags = (options[name].split() for name in ("ossc_flags", "peer_flags"))
    rows = choose_rows(all_rows(threads, models.context), options["rows"])
    ossc_modes, llama_modes = options["ossc_modes"], options["peer_modes"]
    return Contest(
        ours={
            m: ossc_side(models, m, threads, tuple(ossc_flags))
            for m in OSSC_MODES
            if m in ossc_modes
        },
        theirs={
            m: llama_cpp_side(models, m, threads, python, tuple(peer_flags))
            for m in LLAMA_CPP_MODES
            if m in llama_modes
        },
        rows=rows,
        rounds=options["rounds"],
        hooks=Hooks(before=options["before"], after=options["after"]),
        size=SessionSize(vocab_size=config.vocab_size, context=models.context),
    )


def report_json(
    contest: Contest, samples: tuple[Samples, Samples], lines: Sequence[Line], **more: Any
) -> str:
    """Return everything that was measured."""
    fields = {
        "machine": describe_machine(),
        "peer": REQUIREMENT,
        "commands": {
            side.name: list(side.command)
            for side in (*contest.ours.values(), *contest.theirs.values())
        },
        **more,
        "lines": [dataclasses.asdict(line) for line in lines],
        "samples": {"ossc": samples[0], "llama.cpp": samples[1]},
    }
    return json.dumps(fields, indent=1, default=dataclasses.asdict)


@click.command(help=__doc__.partition("\n")[0])
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Keeps all files.")
@click.option("--shape", type=click.Choice(get_args(Shape)), default="4-layer", show_default=True)
@click.option("--dense", type=click.Choice(get_args(Dense)), default="8bit", show_default=True)
@click.option("--checkpoint", type=click.Path(path_type=Path), help="One of this shape.")
@click.option("--threads", default=os.cpu_count(), show_default="one for each CPU")
@click.option("--rounds", default=5, show_default=True)
@click.option("--rows", metavar="KEY,…", help="Only these; by default all but start_cold.")
@click.option("--ossc-modes", default=",".join(OSSC_MODES), show_default=True)
@click.option("--peer-modes", default=",".join(LLAMA_CPP_MODES), show_default=True)
@click.option("--ossc-flags", default="", help="More of ossc-run: --kv f16 …")
@click.option("--peer-flags", default="", help="More of the peer's driver: --no-flash-attention …")
@click.option("--jobs", type=int, help="Compilers at a time that build the peer.")
@click.option("--before", help="Shell command before each measurement.")
@click.option("--after", help="Shell command after each measurement.")
@click.option("--discard", is_flag=True, help="Delete bundle and GGUF afterwards.")
@click.option("--out", type=click.Path(path_type=Path), help="The JSON; by default in --work.")
def main(work: Path, shape: Shape, dense: Dense, **options: Any) -> None:
    """Build, measure, print."""
    work.mkdir(parents=True, exist_ok=True)
    python = build_peer(work / "llama.cpp", jobs=options["jobs"])
    models = prepare_models(work, shape, dense, options["checkpoint"])
    config = read_model_config(models.checkpoint)
    contest = make_contest(models, config, python, options)
    samples, probed = measure(contest)
    limits = {threads: median_limits(rounds) for threads, rounds in probed.items()}
    lines = make_lines(contest, samples, limits, config=config, dense=dense)
    text = report_json(contest, samples, lines, shape=shape, dense=dense, limits=probed)
    out = options["out"] or work / f"{shape}-{dense}.json"
    out.write_text(text)
    click.echo(format_table(lines))
    click.echo(format_limits(limits))
    if options["discard"]:
        discard(models)
    sys.exit(0 if all(line.comparison.conclusive for line in lines) else NO_VERDICT)


if __name__ == "__main__":
    main()
