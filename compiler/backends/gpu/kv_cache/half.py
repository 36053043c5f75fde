"""Rounding to float16 in integers: no GPU language has the type everywhere.

The rounding is the CPU's: to nearest, halves to even; what is beyond float16's range becomes its
largest number, and NaN stays NaN. No step meets a subnormal float32, which some GPUs flush to zero.
"""

from tvm import tirx
from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import bits, f32, select, u32
from ossc.compiler.lowering.kernel import Expr

LARGEST_BITS = 0x477FE000
"""Of 65504 in float32."""

MANTISSA_SHIFT = 23 - 10

EXPONENT_SHIFT = 127 - 15
"""Difference of the exponents' biases."""

SMALLEST_NORMAL_BITS = (127 - 14) << 23
"""Of 2^-14 in float32."""

SUBNORMAL_STEP = 2.0**-24


def to_half(value: Expr) -> Expr:
    """Return the bits of a float32 as float16, in a uint32."""
    given = T.Bind(bits(value, "uint32"))
    size = T.Bind(given & u32(0x7FFFFFFF))
    limited = T.Bind(tirx.Min(size, u32(LARGEST_BITS)))
    odd = (limited >> u32(MANTISSA_SHIFT)) & u32(1)
    normal = T.Bind(
        ((limited + u32(0xFFF) + odd) >> u32(MANTISSA_SHIFT)) - u32(EXPONENT_SHIFT << 10)
    )
    steps = tirx.nearbyint(bits(limited, "float32") * f32(1 / SUBNORMAL_STEP))
    is_small = limited < u32(SMALLEST_NORMAL_BITS)
    small = T.Bind(select(is_small, steps, f32(0)).astype("uint32"))
    rounded = select(is_small, small, normal)
    is_nan = size > u32(0x7F800000)
    sign = (given >> u32(16)) & u32(0x8000)
    return T.Bind(select(is_nan, u32(0x7E00), rounded) | sign)
