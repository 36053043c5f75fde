"""Runs as JSON, and several of them together."""

import dataclasses
import json

import pytest

from benchmarks.beside.machine import Limits
from benchmarks.beside.noise import Sample
from benchmarks.beside.record import Record, RecordError


def sample(value: float) -> Sample:
    return Sample(value=value, others=0.01, read_gb_per_s=(50.0, 51.0), read_huge_gb_per_s=(52.0,))


def record(gb_per_s: float = 50.0, **samples) -> Record:
    """Samples of llama.cpp's decoding, by mode."""
    limits = Limits(
        threads=2, read_gb_per_s=gb_per_s, read_huge_gb_per_s=52, f32_gflops=1, int8_gops=1
    )
    return Record(
        machine={"cpu": "one"},
        peer="peer==1",
        shape="20b",
        dense="8bit",
        commands={name: [name] for name in samples},
        limits=[limits],
        ossc={},
        llama_cpp={"decode": samples},
    )


def test_what_is_written_can_be_read(tmp_path):
    file = tmp_path / "run.json"
    written = record(mapped=[[sample(1.0), sample(2.0)], [sample(3.0)]])
    file.write_text(written.to_json(lines=["for the reader"]))
    assert Record.read(file) == written


def test_rounds_of_two_runs_follow_each_other():
    both = record(50.0, mapped=[[sample(1.0)], [sample(2.0)]]).add(
        record(60.0, mapped=[[sample(3.0)]], repacked=[[sample(4.0)]])
    )
    assert both.llama_cpp["decode"] == {
        "mapped": [[sample(1.0)], [sample(2.0)], [sample(3.0)]],
        "repacked": [[], [], [sample(4.0)]],
    }
    assert both.limits[0].read_gb_per_s == 55.0
    assert both.commands.keys() == {"mapped", "repacked"}


def test_a_row_of_one_run_has_empty_rounds_for_the_other():
    one = record(mapped=[[sample(1.0)], [sample(2.0)]])
    other = dataclasses.replace(one, llama_cpp={"start_warm": {"mapped": [[sample(5.0)]]}})
    assert one.add(other).llama_cpp == {
        "decode": {"mapped": [[sample(1.0)], [sample(2.0)], []]},
        "start_warm": {"mapped": [[], [], [sample(5.0)]]},
    }


@pytest.mark.parametrize(
    "change", [{"machine": {"cpu": "two"}}, {"peer": "peer==2"}, {"dense": "4bit"}]
)
def test_another_machine_peer_or_model_is_refused(change):
    (name,) = change
    with pytest.raises(RecordError, match=f"the {name} is"):
        record(mapped=[]).add(dataclasses.replace(record(mapped=[]), **change))


@pytest.mark.parametrize("text", ["", "[]", "{}", json.dumps({"machine": {}})])
def test_another_file_is_refused(tmp_path, text):
    file = tmp_path / "other.json"
    file.write_text(text)
    with pytest.raises(RecordError, match="no record of this benchmark"):
        Record.read(file)
