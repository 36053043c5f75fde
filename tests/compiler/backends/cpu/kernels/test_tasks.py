"""Work that is spread over tasks."""

import numpy as np
import pytest
from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.kernels.tasks import spread
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import building
from ossc.runtimes.kernel_cost import Work


@pytest.mark.parametrize(("tasks", "units"), [(8, 8), (256, 5), (7, 100), (3, 1), (64, 63)])
def test_every_unit_is_done_once_and_the_first_task_has_one(run, tasks, units):
    with building(f"spread_{tasks}_{units}", None) as function:
        count = function.buffer("count", "int32", 1)
        owner = function.buffer("owner", "int32", units)
        with (
            function.tasks(fixed=tasks) as task,
            T.serial(*spread(task, tasks, T.Bind(count[0]))) as unit,
        ):
            v.store(owner, unit, value=task, lanes=1)
    kernel = function.kernel("spread", "copy", Work())
    (owners,) = run(kernel, [np.array([units], np.int32)], [("int32", (units,))])
    assert owners[0] == 0
    np.testing.assert_array_equal(owners, np.sort(owners))
    largest = np.bincount(owners, minlength=tasks).max()
    assert largest == -(-units // tasks)
