"""A compilation that is killed, or whose disk fills up, leaves the old bundle or the new one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compiled import Build
from disks import run_on_disk
from ossc.runtimes.kv_type import KV_TYPES

TESTS = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def finished(compiled):
    """The bundle that an undisturbed compilation gives."""
    return compiled(Build(quant="default", kv_types=KV_TYPES))


def interrupt(finished, objects, folder, *cases, disk=None):
    """Run cases of ``interrupted_compile``; returns what each prints, a list of words a line."""
    places = (finished.model, folder / "bundle", finished.bundle, objects)
    command = [sys.executable, str(TESTS / "interrupted_compile.py"), *map(str, places), *cases]
    path = {"PYTHONPATH": os.pathsep.join([str(TESTS.parent / ".links"), str(TESTS)])}
    if disk is None:
        environment = dict(os.environ) | path
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    else:
        done = run_on_disk(folder, disk, command, **path)
    assert done.returncode == 0, done.stderr
    lines = {}
    for line in done.stdout.splitlines():
        if line.startswith("case "):
            lines[line.split()[1]] = printed = []
        else:
            printed.append(line.split())
    return lines


@pytest.fixture(scope="module")
def lines(finished, objects, tmp_path_factory):
    """What the cases print that need no disk of their own; one process has them all."""
    cases = ("killed_while_packing", "killed_while_generating_code", "ended_by_signals")
    return interrupt(finished, objects, tmp_path_factory.mktemp("interrupted"), *cases)


def test_killed_while_packing_and_publishing(lines):
    *disturbed, undisturbed = lines["killed_while_packing"]
    assert undisturbed == ["0", "new", "0"]
    assert {(status, state) for status, state, _ in disturbed} <= {
        ("-9", "old"),
        ("-9", "new"),
        ("0", "new"),
    }
    assert {siblings for status, _, siblings in disturbed if status == "-9"} == {"1"}


def test_killed_while_generating_code(lines):
    left = lines["killed_while_generating_code"]
    assert left == [["-9", "none", "1"], ["-9", "none", "1"], ["0", "new", "0"]]


def test_ended_by_signals(lines):
    *by_each, in_removal, twice, undisturbed = lines["ended_by_signals"]
    assert by_each == [["-2", "old", "0"], ["-15", "old", "0"], ["-1", "old", "0"]]
    assert in_removal == ["-15", "new", "0"]
    assert twice == ["-2", "old", "1"]
    assert undisturbed == ["0", "new", "0"]


def test_a_disk_that_fills_up(finished, objects, tmp_path):
    of_case = interrupt(finished, objects, tmp_path, "disk_filled", disk="size=24m")
    lines = of_case["disk_filled"]
    said = [" ".join(line) for line in lines if line[0] == "Error:"]
    assert len(said) == 2
    for sentence in said:
        assert sentence.startswith("Error: The disk is full, so ")
        assert sentence.endswith("(ossc compile --dry-run says how much it takes).")
    left = [line for line in lines if line[0] != "Error:"]
    assert left == [["1", "none", "0"], ["1", "none", "0"], ["0", "new", "0"]]
