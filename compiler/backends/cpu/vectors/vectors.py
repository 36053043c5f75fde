"""Vectors of 8 lanes, and the few operations on them that kernels are written in.

A product that is added to something is always `multiply_add`, and only there: LLVM would otherwise
contract a multiplication and an addition into one instruction in some places and not in others,
and the same token would get different bits in two forms of a kernel. CPUs with a fused instruction
all use it here, so they agree; the others round twice.
"""

from collections.abc import Callable, Iterator, Sequence

import tvm
from tvm.tirx.script import builder as T

from ossc.compiler.lowering.kernel import Buffer, Expr

LANES = 8
"""Rows, columns or keys that are worked on together: a 256-bit register of float32."""


def dtype_of(value: Expr) -> str:
    """Return an expression's type, for example ``float32x8``."""
    return str(value.ty.dtype)


def constant(value: float, dtype: str) -> Expr:
    """Return a number as a constant; a vector type has it in every lane."""
    return tvm.tirx.const(value, dtype)


def splat(value: Expr, lanes: int = LANES) -> Expr:
    """Return a vector with the scalar in every lane."""
    return tvm.tirx.Broadcast(value, lanes) if lanes > 1 else value


def load(buffer: Buffer, *indices: Expr, lanes: int = LANES) -> Expr:
    """Read ``lanes`` neighbours along the last axis."""
    return T.Bind(buffer.vload(list(indices), _vector(str(buffer.ty.dtype), lanes)))


def store(buffer: Buffer, *indices: Expr, value: Expr, lanes: int = LANES) -> None:
    """Write ``lanes`` neighbours along the last axis."""
    *outer, last = indices
    T.buffer_store(buffer, value, [*outer, tvm.tirx.Ramp(last, 1, lanes) if lanes > 1 else last])


def prefetch(buffer: Buffer, *indices: Expr) -> None:
    """Ask for the cache line of an element, which is read soon; it need not exist."""
    arguments = [constant(value, "int32") for value in (0, 3, 1)]
    address = tvm.tirx.address_of(buffer[indices])
    T.evaluate(tvm.tirx.call_llvm_intrin("void", "llvm.prefetch", address, *arguments))


def load_some(buffer: Buffer, *indices: Expr, count: int) -> Expr:
    """Read ``count`` neighbours along the last axis as a vector of 8; the rest repeats the last."""
    if count == LANES:
        return load(buffer, *indices)
    *outer, last = indices
    lanes = [buffer[(*outer, last + min(lane, count - 1))] for lane in range(LANES)]
    return T.Bind(join(lanes))


def store_some(buffer: Buffer, *indices: Expr, value: Expr, count: int) -> None:
    """Write the first ``count`` lanes of a vector of 8."""
    if count == LANES:
        store(buffer, *indices, value=value)
        return
    *outer, last = indices
    vector = T.Bind(value)
    for lane in range(count):
        T.buffer_store(buffer, lane_of(vector, lane), [*outer, last + lane])


def lane_of(vector: Expr, lane: int) -> Expr:
    """Return one lane of a vector."""
    return tvm.tirx.Shuffle([vector], [constant(lane, "int32")])


def convert(value: Expr, dtype: str) -> Expr:
    """Convert each lane to an element type."""
    _, lanes = _element_and_lanes(dtype_of(value))
    return tvm.tirx.Cast(_vector(dtype, lanes), value)


def _element_and_lanes(dtype: str) -> tuple[str, int]:
    element, _, lanes = dtype.partition("x")
    return element, int(lanes or 1)


def _vector(element: str, lanes: int) -> str:
    return f"{element}x{lanes}" if lanes > 1 else element


def bits(value: Expr, dtype: str) -> Expr:
    """See the same bits as another type."""
    return tvm.tirx.reinterpret(dtype, value)


def bytes_to_float(values: Expr) -> list[Expr]:
    """Split int8x32, four bytes a lane, into float32x8: of the first bytes, then the second …."""
    words = T.Bind(bits(values, "int32x8"))
    by_sign = constant(24, "int32x8")
    lifted = [words << constant(24 - 8 * byte, "int32x8") for byte in range(3)] + [words]
    return [T.Bind(convert(word >> by_sign, "float32")) for word in lifted]


def maximum(value: Expr, bound: float) -> Expr:
    """Return the larger of an integer in each lane and a number."""
    return tvm.tirx.Max(value, constant(bound, dtype_of(value)))


def keep(value: Expr) -> Expr:
    """Return the value from a variable of its own.

    TVM's simplifier looks through ``T.Bind``, and takes time exponential in the depth of a chain
    in which each step uses the one before twice. It does not look into a variable.
    """
    variable = Registers(1, *_element_and_lanes(dtype_of(value)))
    variable[0] = value
    return T.Bind(variable[0])


def larger(a: Expr, b: Expr) -> Expr:
    """Return the larger in each lane."""
    return keep(tvm.tirx.Max(a, b))


def at_most(value: Expr, bound: float) -> Expr:
    """Limit float32 lanes from above; NaN stays NaN."""
    dtype = dtype_of(value)
    return _intrinsic(dtype, "minimum", value, constant(bound, dtype))


def at_least(value: Expr, bound: float) -> Expr:
    """Limit float32 lanes from below; NaN stays NaN."""
    dtype = dtype_of(value)
    return _intrinsic(dtype, "maximum", value, constant(bound, dtype))


def multiply_add(a: Expr, b: Expr, c: Expr) -> Expr:
    """Return a·b + c, rounded once on CPUs that can."""
    return _intrinsic(dtype_of(a), "fmuladd", a, b, c)


def round_to_even(value: Expr) -> Expr:
    """Round to the nearest integer, halves to the even one."""
    return _intrinsic(dtype_of(value), "roundeven", value)


def _intrinsic(dtype: str, name: str, *operands: Expr) -> Expr:
    return tvm.tirx.call_llvm_pure_intrin(dtype, f"llvm.{name}", *operands)


def lane_numbers(first: int) -> Expr:
    """Return first, first + 1, … as int32x8."""
    return tvm.tirx.Ramp(constant(first, "int32"), constant(1, "int32"), LANES)


def keep_lanes(vector: Expr, count: int) -> Expr:
    """Set all but the first ``count`` lanes of an int32x8 to zero."""
    if count == LANES:
        return vector
    kept = [constant(-1 if lane < count else 0, "int32") for lane in range(LANES)]
    return vector & join(kept)


def select(condition: Expr, if_true: Expr, if_false: Expr) -> Expr:
    """Choose in each lane; both sides are computed."""
    return tvm.tirx.Select(condition, if_true, if_false)


def join(lanes: Sequence[Expr]) -> Expr:
    """Make a vector of scalars."""
    return tvm.tirx.Shuffle(lanes, [constant(lane, "int32") for lane in range(len(lanes))])


def shuffle(vector: Expr, lanes: Sequence[int]) -> Expr:
    """Return lanes of a vector, in any order; at most twice as many as it has."""
    parts = [vector] if len(lanes) <= _element_and_lanes(dtype_of(vector))[1] else [vector] * 2
    return T.Bind(tvm.tirx.Shuffle(parts, [constant(lane, "int32") for lane in lanes]))


def horizontal_sum(vector: Expr) -> Expr:
    """Add the 8 lanes, in the fixed order ((0+4)+(2+6)) + ((1+5)+(3+7))."""
    return _fold(vector, lambda a, b: a + b)


def horizontal_max(vector: Expr) -> Expr:
    """Return the largest of 8 lanes."""
    return _fold(vector, larger)


def _fold(vector: Expr, combine: Callable[[Expr, Expr], Expr]) -> Expr:
    for width in (4, 2, 1):
        vector = keep(vector)
        vector = combine(_part(vector, 0, width), _part(vector, width, width))
    return T.Bind(vector)


def _part(vector: Expr, begin: int, count: int) -> Expr:
    return shuffle(vector, range(begin, begin + count))


def spans(count: int) -> Iterator[tuple[Expr, int]]:
    """Emit loops over ``count`` elements and yield (begin, lanes) inside each.

    The first loop takes 8 at a time, the second what remains one by one: the body of the caller's
    ``for`` is emitted once in each, so that any length works and nothing beyond it is touched.
    """
    whole = count - count % LANES
    if whole:
        with T.serial(count // LANES) as index:
            yield index * LANES, LANES
    if whole < count:
        with T.serial(count - whole) as index:
            yield index + whole, 1


class Registers:
    """Variables of the generated code: a buffer on the stack that LLVM keeps in registers.

    TVM puts a buffer on the stack only if its scope is ``global`` and it is under 1 KiB; any other
    would be a call for workspace at run time.
    """

    def __init__(self, count: int, dtype: str = "float32", lanes: int = LANES) -> None:
        self._buffer = T.alloc_buffer((count, lanes), dtype)
        self._lanes = lanes
        self._vector = _vector(dtype, lanes)

    def __getitem__(self, index: int) -> Expr:
        return self._buffer.vload([index, 0], self._vector)

    def __setitem__(self, index: int, value: Expr) -> None:
        store(self._buffer, index, 0, value=value, lanes=self._lanes)

    def fill(self, indices: Sequence[int], value: float) -> None:
        """Set some of the variables to one number."""
        for index in indices:
            self[index] = constant(value, self._vector)
