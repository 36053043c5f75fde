"""How a GPU kernel is built: parameters, and the grid of groups that run its body."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.lowering.kernel import Buffer, Expr, Kernel, KernelBuilder
from ossc.compiler.lowering.launch import ONE_GROUP, Grid, Groups

MAX_BUFFERS = 8
"""Of one kernel: what every WebGPU device binds."""

MAX_ITEMS = 128
"""Work-items of a group: what every driver runs."""

DTYPES = ("float32", "int32", "uint32")
"""Elements of buffers: WebGPU has no others."""

Block = tuple[int, ...]
"""Work-items of a group in x, or in x and y, or in x, y and z."""


@dataclass(frozen=True)
class Item:
    """One work-item: int32 numbers of its group, and its own in the group."""

    group: tuple[Expr, Expr]
    local: tuple[Expr, Expr, Expr]

    @property
    def lane(self) -> Expr:
        """Its number in x, where neighbours read neighbouring words."""
        return self.local[0]

    @property
    def is_first(self) -> Expr:
        """Say whether it is the first one of its group."""
        return tvm.tirx.all(*(number.equal(0) for number in self.local[:2]))


class GpuKernelBuilder(KernelBuilder):
    """Declares the parameters of the function that is being built, and opens its grid."""

    INDEX = "int32"

    def __init__(self, name: str, n: int | None, *, vectors: bool = False) -> None:
        """Take the symbol, the tokens, and whether a work-item's lanes are written out."""
        super().__init__(name, n)
        self.vectors = vectors

    def _argument(self, name: str, shape: Sequence[Expr], dtype: str) -> Buffer:
        assert dtype in DTYPES, f"{name} is {dtype}, which not all GPUs have"
        assert len(self._roles) <= MAX_BUFFERS, f"{self._name} has more than {MAX_BUFFERS} buffers"
        return super()._argument(name, shape, dtype)

    @contextmanager
    def grid(self, x: Groups = ONE_GROUP, y: Groups = ONE_GROUP, *, block: Block) -> Iterator[Item]:
        """Open the body that every work-item runs.

        There are no groups in z: WebGPU has at most 65535 in a dimension, and TVM's code for it
        takes z for those that x has beyond.

        Args:
            x: Groups in x; those that share weights are neighbours.
            y: Groups in y.
            block: Work-items of a group, together at most `MAX_ITEMS`.
        """
        width, height, depth = (*block, 1, 1, 1)[:3]
        assert width * height * depth <= MAX_ITEMS, f"{self._name} has groups of {block}"
        self._launch = Grid(groups=(x, y, ONE_GROUP), block=(width, height, depth))
        T.func_attr({"tirx.noalias": True})
        with ExitStack() as stack:
            groups = [
                stack.enter_context(T.launch_thread(f"blockIdx.{axis}", self._extent(count)))
                for axis, count in zip("xy", (x, y), strict=True)
            ]
            items = [
                stack.enter_context(T.launch_thread(f"threadIdx.{axis}", size))
                for axis, size in zip("xyz", (width, height, depth), strict=True)
            ]
            yield Item(tuple(groups), tuple(items))

    def _extent(self, groups: Groups) -> Expr:
        """Return how many there are for the rows of a call."""
        count: Expr = groups.fixed + groups.per_token * self._rows
        if isinstance(count, int):
            return -(-count // groups.divisor)
        return (count + (groups.divisor - 1)) // groups.divisor


@contextmanager
def building(name: str, n: int | None, *, vectors: bool = False) -> Iterator[GpuKernelBuilder]:
    """Open a new kernel's function.

    Args:
        name: The C symbol.
        n: The number of tokens, or None where each call says it.
        vectors: Whether it is for a CPU, so that a work-item's lanes are to be written out.
    """
    with GpuKernelBuilder(name, n, vectors=vectors).open() as builder:
        yield builder


def with_vector_body(build: Callable[..., Kernel]) -> Callable[..., Kernel]:
    """Let the kernels for one token of a builder that takes ``vectors`` have a body for CPUs."""

    @wraps(build)
    def build_both(*, n: int | None, **parameters: Any) -> Kernel:
        kernel = build(n=n, **parameters)
        if n != 1:
            return kernel
        return replace(kernel, vector_body=lambda: build(n=n, vectors=True, **parameters).func)

    return build_both
