"""A compilation that is killed, or whose disk fills up, leaves the old bundle or the new one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compiled import Build
from disks import run_on_disk

TESTS = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(compiled):
    """The bundle that an undisturbed compilation gives."""
    return compiled(Build(quant="default"))


def interrupt(finished, tmp_path, case, disk=None):
    """Run a case of ``interrupted_compile``; returns what it prints, a list of words a line."""
    command = [sys.executable, str(TESTS / "interrupted_compile.py")]
    command += [str(finished.model), str(tmp_path / "bundle"), str(finished.bundle), case]
    path = {"PYTHONPATH": os.pathsep.join([str(TESTS.parent / ".links"), str(TESTS)])}
    if disk is None:
        environment = dict(os.environ) | path
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    else:
        done = run_on_disk(tmp_path, disk, command, **path)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def test_killed_while_packing_and_publishing(finished, tmp_path):
    *disturbed, undisturbed = interrupt(finished, tmp_path, "killed_while_packing")
    assert undisturbed == ["0", "new", "0"]
    assert {(status, state) for status, state, _ in disturbed} <= {
        ("-9", "old"),
        ("-9", "new"),
        ("0", "new"),
    }
    assert {siblings for status, _, siblings in disturbed if status == "-9"} == {"1"}


def test_killed_while_generating_code(finished, tmp_path):
    lines = interrupt(finished, tmp_path, "killed_while_generating_code")
    assert lines == [["-9", "none", "1"], ["-9", "none", "1"], ["0", "new", "0"]]


def test_ended_by_signals(finished, tmp_path):
    *by_each, in_removal, twice, undisturbed = interrupt(finished, tmp_path, "ended_by_signals")
    assert by_each == [["-2", "old", "0"], ["-15", "old", "0"], ["-1", "old", "0"]]
    assert in_removal == ["-15", "new", "0"]
    assert twice == ["-2", "old", "1"]
    assert undisturbed == ["0", "new", "0"]


def test_a_disk_that_fills_up(finished, tmp_path):
    lines = interrupt(finished, tmp_path, "disk_filled", disk="size=24m")
    said = [" ".join(line) for line in lines if line[0] == "Error:"]
    assert len(said) == 2
    for sentence in said:
        assert sentence.startswith("Error: The disk is full, so ")
        assert sentence.endswith("(ossc compile --dry-run says how much it takes).")
    left = [line for line in lines if line[0] != "Error:"]
    assert left == [["1", "none", "0"], ["1", "none", "0"], ["0", "new", "0"]]
