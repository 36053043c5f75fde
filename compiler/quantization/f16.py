"""f16: IEEE 754 half precision, up to 65504, as some checkpoints store their weights."""

from ossc.compiler.quantization.floats import float_scheme

SCHEME = float_scheme(name="f16", summary="float16, not quantized", bits=16, type_name="float16")
