"""bfloat16: the upper half of a float32, two bytes a weight."""

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.backends.cpu.weights.floats import float_format
from ossc.compiler.lowering.kernel import Expr

VALUE_BYTES = 2


def widen(halves: Expr) -> Expr:
    """Convert bfloat16 bits, uint16 in each lane, to float32."""
    words = v.convert(halves, "uint32")
    shifted = words << v.constant(16, v.dtype_of(words))
    return v.bits(shifted, v.dtype_of(words).replace("uint", "float"))


FORMAT = float_format(
    scheme="bf16",
    value_bytes=VALUE_BYTES,
    loaded_as="uint16",
    widen=lambda halves, _isa: widen(halves),
)
