"""float16 in kernels: with the CPU's conversions, or in integers where it has none.

Both ways give the same bits. What is beyond float16's range becomes its largest number.
"""

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Expr, Isa

LARGEST = 65504.0

EXPONENT_SHIFT = 112
"""Difference of the exponents' biases: 127 - 15."""

SMALLEST_NORMAL_BITS = (127 - 14) << 23
"""Of 2^-14 in float32."""

INFINITY_BITS = 0x7F800000

MANTISSA_SHIFT = 23 - 10


def to_half(value: Expr, isa: Isa) -> Expr:
    """Round float32 lanes to float16, halves to even; NaN stays NaN."""
    value = v.keep(v.at_least(v.at_most(value, LARGEST), -LARGEST))
    if isa != "portable":
        return v.convert(value, "float16")
    integer = v.dtype_of(value).replace("float", "int")

    def number(bits: int) -> Expr:
        return v.constant(bits, integer)

    bits = v.keep(v.bits(value, integer))
    size = v.keep(bits & number(0x7FFFFFFF))
    odd = (size >> number(MANTISSA_SHIFT)) & number(1)
    shift = number(MANTISSA_SHIFT)
    normal = ((size + number(0xFFF) + odd) >> shift) - number(EXPONENT_SHIFT << 10)
    half = v.constant(0.5, v.dtype_of(value))  # its last place is that of the smallest float16
    small = v.bits(v.keep(v.bits(size, v.dtype_of(value)) + half), integer) - v.bits(half, integer)
    rounded = v.select(size < number(SMALLEST_NORMAL_BITS), small, normal)
    rounded = v.select(size > number(INFINITY_BITS), number(0x7E00), rounded)
    sign = (bits >> number(16)) & number(0x8000)
    return v.bits(v.convert(rounded | sign, "int16"), v.dtype_of(value).replace("32", "16"))


def from_half(value: Expr, isa: Isa) -> Expr:
    """Convert float16 lanes to float32, exactly."""
    if isa != "portable":
        return v.convert(value, "float32")
    dtype = v.dtype_of(value).replace("16", "32")
    integer = dtype.replace("float", "int")

    def number(bits: int) -> Expr:
        return v.constant(bits, integer)

    bits = v.keep(v.convert(v.bits(value, v.dtype_of(value).replace("float", "int")), "int32"))
    size = v.keep((bits & number(0x7FFF)) << number(MANTISSA_SHIFT))
    scaled = v.bits(size, dtype) * v.constant(2.0**EXPONENT_SHIFT, dtype)
    is_number = size < number(0x7C00 << MANTISSA_SHIFT)
    result = v.select(is_number, v.bits(v.keep(scaled), integer), size | number(INFINITY_BITS))
    sign = (bits & number(0x8000)) << number(16)
    return v.bits(result | sign, dtype)
