"""Launches of functions of a code file."""

from dataclasses import replace

import pytest

from ossc.runtimes.plan import ONE_GROUP, Groups, Plan
from ossc.runtimes.plan.fields import PlanReader, PlanWriter
from ossc.runtimes.plan.step_kinds import read_step, write_step
from ossc.targets.errors import BundleError
from synthetic.opencl_plan import EMBED, MULTIPLY, ROUTE, body, make_opencl_plan


def bytes_of(one):
    writer = PlanWriter()
    write_step(one, writer)
    return writer.to_bytes()


def part_of(data):
    """What follows the fields of all kinds."""
    return data[data.index(b"\x0a\0kernels.cl") :]


def test_a_launch_lies_in_the_plan_as_the_format_says():
    data = bytes_of(EMBED)
    assert data[0] == 1
    numbers = (0, 16, 64), (1, 0, 1), (1, 0, 1), (64, 1, 1)
    launch = b"".join(each.to_bytes(4, "little") for row in numbers for each in row)
    assert part_of(data) == b"\x0a\0kernels.cl\x0e\0test_embedding\1" + launch
    assert read_step(PlanReader(data)) == EMBED


@pytest.mark.parametrize("one", [ROUTE, MULTIPLY])
def test_a_launch_survives_its_bytes(one):
    assert read_step(PlanReader(bytes_of(one))) == one


def test_a_plan_of_launches_survives_its_bytes():
    plan = make_opencl_plan()
    assert Plan.from_bytes(plan.to_bytes()) == plan


@pytest.mark.parametrize(
    ("groups", "rows", "count"),
    [
        (Groups(fixed=1), 1, 1),
        (Groups(per_token=16, divisor=64), 1, 1),
        (Groups(per_token=16, divisor=64), 4, 1),
        (Groups(per_token=16, divisor=64), 5, 2),
        (Groups(fixed=3, per_token=2, divisor=4), 7, 5),
        (Groups(per_token=2**32 - 1, divisor=2**32 - 1), 65536, 65536),
    ],
)
def test_groups_are_rounded_up(groups, rows, count):
    assert groups.count(rows) == count


def test_the_tasks_of_a_launch_are_its_groups():
    assert MULTIPLY.tasks(3) == 5 * 2


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"code": "../kernels.cl"}, "lies in '../kernels.cl'", id="folder"),
        pytest.param({"code": ""}, "lies in ''", id="no-file"),
        pytest.param({"kernel": "a-b"}, "not a C name", id="kernel"),
        pytest.param({"block": (0, 1, 1)}, r"groups of \(0, 1, 1\) work-items", id="empty-block"),
        pytest.param({"block": (32, 33, 1)}, "work-items", id="large-block"),
        pytest.param({"block": (2**31, 2**31, 1)}, "work-items", id="huge-block"),
        pytest.param({"grid": (Groups(), ONE_GROUP, ONE_GROUP)}, "without groups", id="no-groups"),
        pytest.param(
            {"grid": (ONE_GROUP, Groups(fixed=1, divisor=0), ONE_GROUP)}, "by 0", id="divisor"
        ),
        pytest.param(
            {"grid": (ONE_GROUP, ONE_GROUP, Groups(fixed=-1))}, r"\(-1, 0, 1\)", id="negative"
        ),
        pytest.param(
            {"grid": (ONE_GROUP, ONE_GROUP, Groups(per_token=2**32))}, "groups of", id="too-wide"
        ),
    ],
)
def test_a_launch_that_cannot_be_is_refused(changes, fault):
    with pytest.raises(BundleError, match=fault):
        replace(EMBED, **changes)


def test_groups_are_counted_for_the_most_rows():
    many = replace(EMBED, grid=(Groups(per_token=2**30), ONE_GROUP, ONE_GROUP))
    assert replace(body("decode", 1), steps=(many,)).steps == (many,)
    with pytest.raises(BundleError, match=r"has \[2147483648, 1, 1\] groups"):
        replace(body("prefill", 2), steps=(many,))


@pytest.mark.parametrize("takes_rows", [2, 255])
def test_a_kernel_takes_the_rows_or_not(takes_rows):
    data = bytearray(bytes_of(EMBED))
    data[data.index(b"test_embedding\1") + 14] = takes_rows
    with pytest.raises(BundleError, match=f"takes_rows of test_embedding is {takes_rows}"):
        read_step(PlanReader(bytes(data)))
