"""Measuring a program that speaks the protocol."""

import sys
from pathlib import Path

import pytest

from benchmarks.beside import noise
from benchmarks.beside.contest import Contest
from benchmarks.beside.noise import have_met
from benchmarks.beside.process import MeasurementError, Process, Side, read_into_page_cache
from benchmarks.beside.rows import (
    DECODE_SAMPLES,
    DECODE_TOKENS,
    Hooks,
    Measurement,
    Row,
    SessionSize,
    all_rows,
)

PROGRAM = """
import json, sys
print(json.dumps({"protocol": 1}), flush=True)
print("loaded", file=sys.stderr)
rate = float(sys.argv[1])
log = open(sys.argv[2], "a")
for line in sys.stdin:
    name, *ids = line.split()
    print(line.strip(), file=log, flush=True)
    answers = {
        "prefill": {"seconds": len(ids) / rate},
        "decode": {"seconds": [1 / rate] * len(ids)},
        "memory": {"mapped_bytes": 7, "peak_anonymous_bytes": 9},
        "reset": {}, "fill": {}, "threads": {},
    }
    print(json.dumps(answers.get(name, {"error": "There is no such command."})), flush=True)
"""

SIZE = SessionSize(vocab_size=100, context=20000)


def make_side(folder: Path, rate: float, name: str = "fake") -> Side:
    weights = folder / "weights"
    weights.write_bytes(bytes(1000))
    log = str(folder / f"{name}.log")
    return Side(name=name, command=(sys.executable, "-c", PROGRAM, str(rate), log), weights=weights)


def bandwidth(threads: int) -> tuple[float, float]:
    return 10.0 * threads, 20.0 * threads


def test_rows_that_the_context_has_no_room_for_are_left_out():
    assert "decode_at_16384" in {row.key for row in all_rows(2, 16640)}
    keys = {row.key for row in all_rows(2, 2048)}
    assert "prefill_2048" in keys
    assert not {"decode_at_4096", "decode_at_16384"} & keys


def test_every_row_is_measured(tmp_path):
    rows = all_rows(2, SIZE.context)
    samples = Measurement(make_side(tmp_path, 80.0), rows, Hooks(), SIZE, bandwidth).run(0)
    assert samples.keys() == {row.key for row in rows}
    for key in ("decode", "decode_1_thread", "decode_at_16384", "prefill_128", "prefill_2048"):
        assert [sample.value for sample in samples[key]] == pytest.approx(
            [80.0] * (DECODE_SAMPLES if key.startswith("decode") else 1)
        )
    assert samples["decode"][0].read_gb_per_s == (20.0, 20.0)
    assert samples["decode_1_thread"][0].read_huge_gb_per_s == (20.0, 20.0)
    assert samples["start_warm"][0].read_gb_per_s == (20.0, 20.0)
    assert not samples["start_cold"][0].read_gb_per_s
    assert [sample.value for sample in samples["mapped"]] == [7]
    assert [sample.value for sample in samples["anonymous"]] == [9]
    assert 0 < samples["start_warm"][0].value < 10
    log = (tmp_path / "fake.log").read_text().splitlines()
    assert {"fill 4096", "fill 16384", "threads 1"} <= set(log)


def test_both_sides_get_the_same_tokens_and_a_fast_one_more_of_them(tmp_path):
    rows = [Row(key="decode", title="decode", kind="decode", threads=2)]
    logs = []
    for name, rate in (("slow", 10.0), ("fast", 1000.0)):
        Measurement(make_side(tmp_path, rate, name), rows, Hooks(), SIZE, bandwidth).run(3)
        logs.append((tmp_path / f"{name}.log").read_text().splitlines()[-1])
    slow, fast = (line.split() for line in logs)
    assert len(slow) == 1 + DECODE_TOKENS
    assert len(fast) == 401
    assert fast[: len(slow)] == slow


def test_the_sides_take_turns(tmp_path):
    rows = [Row(key="mapped", title="mapped", kind="memory", threads=2)]
    sides = {name: make_side(tmp_path, 1.0, name) for name in ("a", "b", "c")}
    contest = Contest(
        ours={"mapped": sides["a"], "resident": sides["b"]},
        theirs={"mapped": sides["c"]},
        rows=rows,
        rounds=2,
        hooks=Hooks(),
        size=SIZE,
        read_probe=bandwidth,
    )
    lines: list[str] = []
    ours, theirs = contest.run(lines.append)
    turns = [line.partition(":")[0] for line in lines]
    assert turns == [f"round {n}, {name}" for n in (1, 2) for name in ("a", "c", "b")]
    assert {mode: len(samples) for mode, samples in ours["mapped"].items()} == {
        "mapped": 2,
        "resident": 2,
    }
    assert len(theirs["mapped"]["mapped"]) == 2


def test_a_turn_goes_on_until_it_has_met_a_bandwidth_of_the_other_side(tmp_path, monkeypatch):
    monkeypatch.setattr(noise, "MAX_OTHERS", 1.0)  # other tests may run beside this one
    probed = []

    def changing(threads: int) -> tuple[float, float]:
        probed.append(threads)
        fast = DECODE_SAMPLES + 1 < len(probed) <= DECODE_SAMPLES + 40
        return (90.0, 95.0) if fast else (50.0, 55.0)

    contest = Contest(
        ours={"mapped": make_side(tmp_path, 30.0, "a")},
        theirs={"mapped": make_side(tmp_path, 20.0, "c")},
        rows=[Row(key="decode", title="decode", kind="decode", threads=2)],
        rounds=1,
        hooks=Hooks(),
        size=SIZE,
        read_probe=changing,
    )
    ours, theirs = (samples["decode"]["mapped"][0] for samples in contest.run(lambda _: None))
    assert len(ours) == DECODE_SAMPLES
    assert have_met(theirs, [ours])
    assert len(theirs) > 2 * DECODE_SAMPLES


def test_commands_run_around_each_measurement(tmp_path):
    log = tmp_path / "log"
    hooks = Hooks(before=f"echo before >> {log}", after=f"echo after >> {log}")
    rows = [Row(key="decode", title="decode", kind="decode", threads=2)]
    Measurement(make_side(tmp_path, 100.0), rows, hooks, SIZE, bandwidth).run(0)
    assert log.read_text().split() == ["before", "after"] * 2  # the start, and the row


def test_a_refused_command_is_an_error(tmp_path):
    refusal = pytest.raises(MeasurementError, match="fake refuses dance: There is no such command")
    with Process(make_side(tmp_path, 1.0)) as process, refusal:
        process.ask("dance")


def test_a_program_that_ends_is_an_error_with_its_last_words(tmp_path):
    command = (sys.executable, "-c", "import sys; sys.exit('no model')")
    with pytest.raises(MeasurementError, match="ended at its start: no model"):
        Process(Side(name="fake", command=command, weights=tmp_path))


def test_reading_a_file_into_the_page_cache_reads_all_of_it(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(bytes(40 << 20))
    read_into_page_cache(file)
