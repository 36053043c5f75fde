"""float16, two bytes a weight: widened by the CPU's conversions, or in integers without them."""

from ossc.compiler.backends.cpu.vectors.half import from_half
from ossc.compiler.backends.cpu.weights.floats import float_format

FORMAT = float_format(scheme="f16", value_bytes=2, loaded_as="float16", widen=from_half)
