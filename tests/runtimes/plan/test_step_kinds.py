"""Steps, and the kinds that nothing here runs."""

from dataclasses import replace

import pytest

from ossc.runtimes.plan.fields import PlanReader, PlanWriter
from ossc.runtimes.plan.step_kinds import read_step, write_step
from ossc.targets.errors import BundleError
from synthetic.tiny_plan import step


def bytes_of(one):
    writer = PlanWriter()
    write_step(one, writer)
    return bytearray(writer.to_bytes())


def test_a_step_begins_with_its_kind_and_length():
    data = bytes_of(step("k", 7, per_token=1))
    assert data[0] == 0
    assert int.from_bytes(data[1:5], "little") == len(data) - 5
    assert data[5:21] == b"\x0d\0k of the test\0"
    assert read_step(PlanReader(bytes(data))) == step("k", 7, per_token=1)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (2, "graph"),
        (3, "copy"),
        (4, "fetch experts"),
        (5, "a step of kind 5"),
        (255, "a step of kind 255"),
    ],
)
def test_another_kind_is_refused_by_its_name(kind, name):
    data = bytes_of(step("k", 0))
    data[0] = kind
    with pytest.raises(BundleError, match=f"of the kind '{name}', which this ossc cannot run"):
        read_step(PlanReader(bytes(data)))


@pytest.mark.parametrize("change", [-1, 1])
def test_a_step_of_another_length_is_refused(change):
    data = bytes_of(step("k", 0))
    data[1] += change
    with pytest.raises(BundleError):
        read_step(PlanReader(bytes(data) + b"\0"))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"kernel": "a-b"}, "not a C name", id="kernel"),
        pytest.param({"kernel": "k" * 256}, "256 bytes long", id="long"),
        pytest.param({"label": "\x1b[2J"}, "cannot be printed", id="label"),
        pytest.param({"tensors": ()}, "has 0 buffers", id="no-buffers"),
        pytest.param({"tensors": (1,) * 31}, "has 31 buffers", id="many-buffers"),
        pytest.param({"tasks_fixed": -1}, r"has \(-1, 1\) tasks", id="negative-tasks"),
        pytest.param({"ranged": False}, "disagree", id="tasks-without-a-range"),
        pytest.param({"tasks_per_token": 0}, "disagree", id="a-range-without-tasks"),
        pytest.param({"layer": -2}, "layer -2", id="layer"),
    ],
)
def test_a_step_that_cannot_be_is_refused(changes, fault):
    with pytest.raises(BundleError, match=fault):
        replace(step("kernel", 1, per_token=1), **changes)
