"""Sharing numbered work among the work-items of a group."""

from collections.abc import Iterator

from tvm.tirx.script import builder as T

from ossc.compiler.lowering.kernel import Expr


def each(count: int, item: Expr, items: int) -> Iterator[Expr]:
    """Emit a loop over those of ``count`` numbers that are a work-item's; yields one of them.

    Neighbouring work-items have neighbouring numbers. No barrier may be in the loop.
    """
    if count == items:
        yield item
        return
    with T.serial(-(-count // items)) as turn:
        number = T.Bind(turn * items + item)
        if count % items:
            with T.If(number < count), T.Then():
                yield number
        else:
            yield number
