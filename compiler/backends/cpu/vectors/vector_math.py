"""Exponentials and the normal distribution: the same steps on every CPU, and no library needed."""

from tvm.tirx.script import builder as T

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.glu import TAIL_COEFFICIENTS, TAIL_SLOPE
from ossc.compiler.lowering.kernel import Expr

LOG2_E = 1.4426950408889634

LN_2_HIGH = 0.693145751953125
"""ln 2 in 16 bits: times an integer of 8 bits it is exact in float32."""

LN_2_LOW = 1.4286068203094173e-06

LARGEST = 89.0
"""Beyond 88.73 the result is infinite."""

SMALLEST = -104.0
"""Below -103.98 the result is zero."""

COEFFICIENTS = (0.0013926184, 0.008363179, 0.041666556, 0.16666576, 0.5)
"""(exp(r) - 1 - r) / r² for |r| ≤ ln 2 / 2, highest power first: interpolated at Chebyshev's
points; with them the result is within 1 unit in the last place."""

SMALLEST_POWER = -127.0
"""2 to it counts as zero: its exponent field is."""

POWER_COEFFICIENTS = (
    0.00015453163359779865,
    0.0013390863314270973,
    0.009618083015084267,
    0.055503569543361664,
    0.24022650718688965,
    0.6931471824645996,
    1.0,
)
"""2^r for |r| ≤ 1/2, highest power first: interpolated at Chebyshev's points."""


def exp(x: Expr) -> Expr:
    """Return e^x in each float32 lane: zero for the very negative, infinity, NaN for NaN."""
    dtype = v.dtype_of(x)
    integer = dtype.replace("float", "int")

    def number(value: float) -> Expr:
        return v.constant(value, dtype)

    x = v.keep(v.at_least(v.at_most(x, LARGEST), SMALLEST))
    whole = T.Bind(v.round_to_even(x * number(LOG2_E)))
    rest = v.multiply_add(whole, number(-LN_2_HIGH), x)
    rest = v.keep(v.multiply_add(whole, number(-LN_2_LOW), rest))
    series = number(COEFFICIENTS[0])
    for coefficient in COEFFICIENTS[1:]:
        series = v.multiply_add(series, rest, number(coefficient))
    value = v.multiply_add(series * rest, rest, rest) + number(1)
    exponent = v.keep(v.convert(whole, "int32"))
    half = T.Bind(exponent >> v.constant(1, integer))  # the power itself may be out of range
    return v.keep(value * _power_of_two(half, dtype) * _power_of_two(exponent - half, dtype))


def _power_of_two(exponent: Expr, dtype: str) -> Expr:
    integer = v.dtype_of(exponent)
    return v.bits((exponent + v.constant(127, integer)) << v.constant(23, integer), dtype)


def exp_of_negative(x: Expr) -> Expr:
    """Return e^x in each float32 lane for x ≤ 0: zero below -87.3, NaN for NaN.

    Beside `exp` it saves a third of the instructions. 2^(x · log2 e) is taken, whose error grows
    with |x|: relative to 1, the largest result, it is the same everywhere.
    """
    dtype = v.dtype_of(x)

    def number(value: float) -> Expr:
        return v.constant(value, dtype)

    power = v.keep(v.at_least(x * number(LOG2_E), SMALLEST_POWER))
    whole = T.Bind(v.round_to_even(power))
    rest = T.Bind(power - whole)
    series = number(POWER_COEFFICIENTS[0])
    for coefficient in POWER_COEFFICIENTS[1:]:
        series = v.multiply_add(series, rest, number(coefficient))
    exponent = v.convert(whole, "int32")
    return v.keep(v.keep(series) * _power_of_two(exponent, dtype))


def normal_tail(x: Expr) -> Expr:
    """Return Φ(-x), half of erfc(x / √2), in each float32 lane for x ≥ 0; NaN for NaN.

    The relative error is that of exp(-x² / 2), and grows with x²: (8 + x² / 2) · 2^-24. Beyond 14.3
    the result is zero.
    """
    dtype = v.dtype_of(x)

    def number(value: float) -> Expr:
        return v.constant(value, dtype)

    t = v.keep(number(1) / v.multiply_add(x, number(TAIL_SLOPE), number(1)))
    series = number(TAIL_COEFFICIENTS[0])
    for coefficient in TAIL_COEFFICIENTS[1:]:
        series = v.multiply_add(series, t, number(coefficient))
    return v.keep(v.keep(series * t) * exp(x * (x * number(-0.5))))
