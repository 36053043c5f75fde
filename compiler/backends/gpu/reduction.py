"""Sums and maxima over the work-items of a group."""

from collections.abc import Callable

from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import Local, barrier
from ossc.compiler.lowering.kernel import Expr

Combine = Callable[[Expr, Expr], Expr]


def reduce_group(item: Expr, items: int, value: Expr, combine: Combine) -> Expr:
    """Emit the combination of all work-items' values, in a fixed order; all of them read it.

    Args:
        item: The work-item's number, in one dimension.
        items: How many there are; a power of two.
        value: Its float32.
        combine: Of two values.
    """
    assert items.bit_count() == 1, f"{items} is no power of two"
    shared = Local(items)
    shared[item] = value
    barrier()
    half = items // 2
    while half:
        with T.If(item < half), T.Then():
            shared[item] = combine(shared[item], shared[item + half])
        barrier()
        half //= 2
    return T.Bind(shared[0])
