"""Scalars of GPU kernels: constants, conversions and registers."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.lowering.kernel import Buffer, Expr


def i32(value: int) -> Expr:
    """Return a constant int32."""
    return tvm.tirx.const(value, "int32")


def u32(value: int) -> Expr:
    """Return a constant uint32."""
    return tvm.tirx.const(value, "uint32")


def f32(value: float) -> Expr:
    """Return a constant float32, exactly.

    TVM writes seven digits of it in C, and WGSL, which is not enough for each: 16777216 becomes
    1.677722e+07. Those that it would change are given by their bits, in a variable of the kernel.
    """
    exact = np.float32(value)
    if np.float32(f"{exact:e}") == exact:
        return tvm.tirx.const(value, "float32")
    return bits(T.Bind(u32(int(exact.view(np.uint32)))), "float32")


def bits(value: Expr, dtype: str) -> Expr:
    """Return the same 32 bits as another type, of as many lanes."""
    return tvm.tirx.reinterpret(_of_lanes(dtype, lanes(value)), value)


def convert(value: Expr, dtype: str) -> Expr:
    """Return the number as another type, of as many lanes."""
    return value.astype(_of_lanes(dtype, lanes(value)))


def lanes(value: Expr) -> int:
    """Return how many numbers a value is: 1, or those of a vector."""
    return int(tvm.DataType(str(value.ty.dtype)).lanes)


def _of_lanes(dtype: str, count: int) -> str:
    return dtype if count == 1 else f"{dtype}x{count}"


def broadcast(value: Expr, count: int) -> Expr:
    """Return a number in all of so many lanes; a vector is returned as it is."""
    return value if count == lanes(value) else tvm.tirx.Broadcast(value, count)


def shift_left(word: Expr, count: int) -> Expr:
    """Return a uint32 shifted to the left by a Python number, or to the right by a negative one."""
    if count == 0:
        return word
    return word << u32(count) if count > 0 else word >> u32(-count)


def select(condition: Expr, then: Expr, otherwise: Expr) -> Expr:
    """Return one of two values, lane by lane; both are computed."""
    count = lanes(condition)
    return tvm.tirx.Select(condition, broadcast(then, count), broadcast(otherwise, count))


def at_most(index: Expr, largest: int) -> Expr:
    """Return an int32 that is not above a bound."""
    return tvm.tirx.Min(index, i32(largest))


def below(value: Expr, largest: Expr | float) -> Expr:
    """Return a float32 that is not above a bound; NaN stays, which it would not with fmin."""
    bound = f32(largest) if isinstance(largest, int | float) else largest
    return select(value > bound, bound, value)


def store(buffer: Buffer, *index: Expr, value: Expr) -> None:
    """Emit ``buffer[index] = value``."""
    T.buffer_store(buffer, value, list(index))


class Registers:
    """Numbers of one work-item, which the kernel changes; an index is a Python number."""

    def __init__(self, count: int, dtype: str = "float32", lanes: int = 1) -> None:
        """Declare so many numbers, or vectors of ``lanes`` numbers."""
        self._buffer = T.alloc_buffer((count,), _of_lanes(dtype, lanes), scope="local")
        self._zero = broadcast(tvm.tirx.const(0, dtype), lanes)
        self.count = count

    def __getitem__(self, index: int | Expr) -> Expr:
        return self._buffer[index]

    def __setitem__(self, index: int | Expr, value: Expr) -> None:
        T.buffer_store(self._buffer, value, [index])

    def clear(self) -> None:
        """Emit zeros for all."""
        for index in range(self.count):
            self[index] = self._zero

    def add(self, index: int | Expr, value: Expr) -> None:
        """Emit the addition of a value to one."""
        self[index] = self[index] + value


class Local:
    """Memory that the work-items of a group share; barriers are explicit."""

    def __init__(self, *shape: int, dtype: str = "float32") -> None:
        self._buffer = T.alloc_buffer(shape, dtype, scope="shared")

    def __getitem__(self, index: Any) -> Expr:
        return self._buffer[index]

    def __setitem__(self, index: Any, value: Expr) -> None:
        T.buffer_store(self._buffer, value, list(index) if _is_sequence(index) else [index])


def _is_sequence(index: Any) -> bool:
    return isinstance(index, Sequence)


def barrier() -> None:
    """Emit a point that all work-items of a group reach before one goes on; never in a branch."""
    T.evaluate(T.tvm_storage_sync("shared"))
