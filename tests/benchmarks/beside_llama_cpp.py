"""Our speed beside llama.cpp's: the same weights, the same tokens, in turn.

    PYTHONPATH=.links:tests python tests/benchmarks/beside_llama_cpp.py --work DIR --shape 4-layer

builds llama.cpp from the sources of its Python package, makes the model in the forms of both sides,
and measures A B A B: one program at a time, its file in the page cache before the clock starts. It
prints a table, writes JSON, and ends with status 3 when the machine was too noisy for a verdict.
docs/benchmarks.md says what the rows mean.
"""

import dataclasses
import os
import sys
from collections.abc import Sequence
from functools import reduce
from pathlib import Path
from typing import Any, get_args

import click

from benchmarks.beside.contest import Contest, Samples
from benchmarks.beside.limits import Dense
from benchmarks.beside.machine import (
    Limits,
    Prober,
    describe_machine,
    median_limits,
    row_limit,
)
from benchmarks.beside.models import Models, Shape, discard, prepare_models
from benchmarks.beside.peer import REQUIREMENT, build_peer
from benchmarks.beside.process import Side
from benchmarks.beside.record import Record, RecordError
from benchmarks.beside.rows import Hooks, Row, SessionSize, all_rows
from benchmarks.beside.sides import LLAMA_CPP_MODES, OSSC_MODES, llama_cpp_side, ossc_side
from benchmarks.beside.table import Line, format_limits, format_table, make_lines
from ossc.compiler.families.fields.decoder import DecoderConfig
from ossc.compiler.families.source_model import read_model_config

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


def measure(contest: Contest, prober: Prober) -> tuple[Samples, Samples, list[Limits]]:
    """Run all rounds, and probe the machine before each of them.

    Raises:
        MeasurementError: A program failed.
    """
    threads = sorted({row.threads for row in contest.rows})
    probed: list[list[Limits]] = [[] for _ in threads]

    def probe() -> None:
        for count, rounds in zip(threads, probed, strict=True):
            rounds.append(prober.limits(count))

    ours, theirs = contest.run(lambda line: click.echo(line, err=True), probe)
    return ours, theirs, [median_limits(rounds) for rounds in probed if rounds]


def compare_rows(rows: Sequence[Row], record: Record, config: DecoderConfig) -> list[Line]:
    """Compare row by row."""
    int8_gops = {at.threads: at.int8_gops for at in record.limits}
    return [
        line
        for row in rows
        for line in make_lines(
            row,
            record.ossc[row.key],
            record.llama_cpp[row.key],
            row_limit(row, int8_gops[row.threads], config, record.dense),
        )
    ]


def read_records(context: click.Context, parameter: click.Parameter, value: Any) -> list[Record]:
    """Read the files that the user named."""
    try:
        return [Record.read(path) for path in value]
    except (OSError, RecordError) as error:
        raise click.BadParameter(str(error), context, parameter) from error


def add_records(records: Sequence[Record]) -> Record:
    """Add them up, or say which does not belong to the others."""
    try:
        return reduce(Record.add, records)
    except RecordError as error:
        raise click.UsageError(f"--add: {error}") from error


def make_sides(
    models: Models, python: Path, options: dict[str, Any]
) -> tuple[dict[str, Side], dict[str, Side]]:
    """Combine the sides' modes with the user's options."""
    threads = options["threads"]
    ossc_flags, peer_flags = (options[name].split() for name in ("ossc_flags", "peer_flags"))
    ours = {
        mode: ossc_side(models, mode, threads, tuple(ossc_flags))
        for mode in OSSC_MODES
        if mode in options["ossc_modes"].split(",")
    }
    theirs = {
        mode: llama_cpp_side(models, mode, threads, python, tuple(peer_flags))
        for mode in LLAMA_CPP_MODES
        if mode in options["peer_modes"].split(",")
    }
    return ours, theirs


@click.command(help=__doc__.partition("\n")[0])
@click.option("--work", type=click.Path(path_type=Path), required=True, help="Keeps all files.")
@click.option("--shape", type=click.Choice(get_args(Shape)), default="4-layer", show_default=True)
@click.option("--dense", type=click.Choice(get_args(Dense)), default="8bit", show_default=True)
@click.option("--checkpoint", type=click.Path(path_type=Path), help="One of this shape.")
@click.option("--threads", default=os.cpu_count(), show_default="one for each CPU")
@click.option("--rounds", default=5, show_default=True)
@click.option(
    "--add",
    type=click.Path(path_type=Path),
    multiple=True,
    callback=read_records,
    help="JSON of an earlier run of the same models, whose rounds count too.",
)
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
    ours, theirs = make_sides(models, python, options)
    hooks = Hooks(before=options["before"], after=options["after"])
    rows = all_rows(options["threads"], models.context)
    record = Record(
        machine=describe_machine(),
        peer=REQUIREMENT,
        shape=shape,
        dense=dense,
        commands={side.name: list(side.command) for side in (*ours.values(), *theirs.values())},
        limits=[],
        ossc={},
        llama_cpp={},
    )
    earlier = add_records([*options["add"], record])
    with Prober(next(iter(ours.values())), hooks) as prober:
        contest = Contest(
            ours=ours,
            theirs=theirs,
            rows=choose_rows(rows, options["rows"]),
            rounds=options["rounds"],
            hooks=hooks,
            size=SessionSize(vocab_size=config.vocab_size, context=models.context),
            read_probe=prober.read,
        )
        our_samples, their_samples, limits = measure(contest, prober)
    now = dataclasses.replace(record, limits=limits, ossc=our_samples, llama_cpp=their_samples)
    total = earlier.add(now)
    measured = [row for row in rows if any(total.ossc.get(row.key, {}).values())]
    lines = compare_rows(measured, total, config)
    out = options["out"] or work / f"{shape}-{dense}.json"
    out.write_text(total.to_json(lines=[dataclasses.asdict(line) for line in lines]))
    click.echo(format_table(lines))
    click.echo(format_limits(total.limits))
    if options["discard"]:
        discard(models)
    decided = {line.row.key for line in lines if line.comparison.conclusive}
    sys.exit(0 if decided == {row.key for row in measured} else NO_VERDICT)


if __name__ == "__main__":
    main()
