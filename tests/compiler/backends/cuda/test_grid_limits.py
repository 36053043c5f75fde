"""Launches that are too large for any device are refused before there is a bundle."""

from dataclasses import replace

import pytest

from ossc.compiler.backends.cuda.grid_limits import check_grids
from ossc.runtimes.plan import ONE_GROUP, Groups
from ossc.targets.errors import LoweringError
from synthetic.opencl_plan import EMBED, make_opencl_plan

ROWS = Groups(per_token=1)


def plan_with(tokens, *grid):
    plan = make_opencl_plan()
    step = replace(EMBED, grid=grid)
    segments = [replace(each, steps=(step,)) for each in plan.segments if each.name == "prefill"]
    object.__setattr__(segments[0], "max_tokens", tokens)
    object.__setattr__(plan, "segments", tuple(segments))
    return plan


def test_as_many_as_a_device_takes_are_taken():
    check_grids(plan_with(65535, ROWS, ROWS, ROWS))
    check_grids(plan_with(65536, ROWS, ONE_GROUP, ONE_GROUP))


@pytest.mark.parametrize(
    ("axis", "grid"), [("y", (ONE_GROUP, ROWS, ONE_GROUP)), ("z", (ONE_GROUP, ONE_GROUP, ROWS))]
)
def test_one_more_is_refused_with_advice(axis, grid):
    with pytest.raises(LoweringError, match=f"has 65536 groups in {axis} .* smaller prefill_chunk"):
        check_grids(plan_with(65536, *grid))
