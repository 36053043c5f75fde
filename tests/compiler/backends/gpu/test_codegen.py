"""OpenCL C of TIR functions, and what is read of their launches."""

import tvm
from tvm.tirx.script import builder as T

from gpu_kernels import OPENCL
from ossc.compiler.backends.gpu.codegen import generate_device_function
from ossc.compiler.backends.gpu.expressions import store
from ossc.compiler.backends.gpu.kernel_builder import building
from ossc.compiler.backends.gpu.kernels.rms_norm import rms_norm
from ossc.compiler.lowering.kernel import Kernel
from ossc.compiler.lowering.launch import Groups
from ossc.runtimes.kernel_cost import Work


def chain(steps: int) -> Kernel:
    """Build a kernel in which each step uses the one before it twice."""
    with building(f"chain_{steps}", 1) as function:
        x = function.buffer("x", "float32", 4)
        y = function.buffer("y", "float32", 4)
        with function.grid(block=(4,)) as item:
            value = x[item.lane]
            for _ in range(steps):
                value = T.Bind(value * value + value)
            store(y, item.lane, value=value)
    return function.kernel("chain", "f32", Work())


def generate(kernel: Kernel):
    return generate_device_function(kernel.name, kernel.func, OPENCL)


def test_a_chain_of_values_that_are_used_twice_stays_short():
    lengths = [len(generate(chain(steps)).source) for steps in (6, 12)]
    assert lengths[1] < 2 * lengths[0]


def test_arguments_are_in_the_order_of_the_generated_function():
    function = generate(rms_norm(hidden=8, epsilon=1e-5, add=True, n=None))
    parameters = function.source.split("(", 1)[1].split(")", 1)[0]
    names = [each.split()[-1].removesuffix("_ptr") for each in parameters.split(",")]
    order = ["x", "residual", "weight", "normed", "sum"]
    assert [order[index] for index in function.arguments] == names[:-1]
    assert names[-1] == "n"


def test_the_grid_follows_from_the_rows_and_a_fixed_number_takes_none():
    of_many, of_one = (
        generate(rms_norm(hidden=8, epsilon=1e-5, add=False, n=n)) for n in (None, 1)
    )
    assert of_many.grid.groups[0] == Groups(per_token=1)
    assert [groups.count(5) for groups in of_many.grid.groups] == [5, 1, 1]
    assert [groups.count(1) for groups in of_one.grid.groups] == [1, 1, 1]
    assert (of_many.takes_rows, of_one.takes_rows) == (True, False)
    assert of_one.grid.block == (64, 1, 1)


def test_rows_are_rounded_up_to_whole_groups():
    with building("rows", None) as function:
        y = function.per_token("y", "float32")
        count = Groups(fixed=3, per_token=2, divisor=32)
        with function.grid(count, block=(32,)) as item, T.If(item.lane < function.tokens), T.Then():
            store(y, item.lane, value=tvm.tirx.const(1, "float32"))
    groups = generate(function.kernel("rows", "f32", Work())).grid.groups[0]
    assert groups == Groups(fixed=3, per_token=2, divisor=32)
    assert [groups.count(n) for n in (1, 14, 15)] == [1, 1, 2]


def test_a_function_gets_the_same_text_each_time():
    one, other = (generate(rms_norm(hidden=8, epsilon=1e-5, add=True, n=None)) for _ in range(2))
    assert one == other
