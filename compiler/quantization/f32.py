"""f32: float32, which holds every weight of the other float types exactly."""

from ossc.compiler.quantization.floats import float_scheme

SCHEME = float_scheme(name="f32", summary="float32, not quantized", bits=32, type_name="float32")
