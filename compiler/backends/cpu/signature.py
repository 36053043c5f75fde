"""What the function of a kernel takes, as the runtime compares it with a plan, once.

TVM's calling convention lets every function check its arguments in every call, which was two fifths
of the code (docs/decisions/0014). Ours are called with the buffers of a plan
alone, so a table beside the functions says what they take.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import tvm

from ossc.compiler.lowering.flatten import PLAN_DTYPES
from ossc.compiler.lowering.segment import buffer_types
from ossc.runtimes.plan import DType

MAX_SIZES = 4
"""That a call may say: a constant of the runtime's table too."""


@dataclass(frozen=True)
class BufferType:
    """A buffer: its elements and its shape."""

    dtype: DType

    shape: tuple[int, ...]
    """A negative number stands for a size that each call says; the same number, the same size."""


@dataclass(frozen=True)
class Signature:
    """The parameters of a function: buffers, then perhaps a range of tasks."""

    buffers: tuple[BufferType, ...]

    ranged: bool
    """Whether int32 ``begin`` and ``end`` follow the buffers."""

    def takes(self, buffers: Sequence[BufferType]) -> bool:
        """Whether a call with these buffers, whose shapes are those of one call, is sound."""
        if len(buffers) != len(self.buffers):
            return False
        pairs = list(zip(self.buffers, buffers, strict=True))
        if any(a.dtype != b.dtype or len(a.shape) != len(b.shape) for a, b in pairs):
            return False
        said: dict[int, int] = {}
        dims = [pair for a, b in pairs for pair in zip(a.shape, b.shape, strict=True)]
        return all(
            (own if own >= 0 else said.setdefault(own, given)) == given for own, given in dims
        )


def signature_of(function: tvm.tirx.PrimFunc) -> Signature:
    """Read what a function takes; see `Signature`.

    Raises:
        TypeError: It takes something else.
    """
    types = [each.ty for each in function.params]
    buffers = buffer_types(function)
    scalars = types[len(buffers) :]
    if types[: len(buffers)] != buffers or len(scalars) not in (0, 2):
        raise TypeError(f"It takes {function.params}, and not buffers and perhaps a range.")
    names = sorted({dim.name for each in buffers for dim in each.shape if _is_variable(dim)})
    if len(names) > MAX_SIZES:
        raise TypeError(f"Its calls say {len(names)} sizes, {names}; they can say {MAX_SIZES}.")
    numbers = {name: -1 - index for index, name in enumerate(names)}
    return Signature(
        buffers=tuple(
            BufferType(
                PLAN_DTYPES[str(each.dtype)], tuple(_size(dim, numbers) for dim in each.shape)
            )
            for each in buffers
        ),
        ranged=bool(scalars),
    )


def _is_variable(dim: tvm.ir.Expr) -> bool:
    return isinstance(dim, tvm.tirx.Var)


def _size(dim: tvm.ir.Expr, numbers: dict[str, int]) -> int:
    if _is_variable(dim):
        return numbers[dim.name]
    if not isinstance(dim, tvm.tirx.IntImm):
        raise TypeError(f"The size {dim} is neither a number nor one that calls say.")
    return int(dim)
