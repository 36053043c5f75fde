"""bf16: bfloat16, as most checkpoints store their dense weights."""

from ossc.compiler.quantization.floats import float_scheme

SCHEME = float_scheme(name="bf16", summary="bfloat16, not quantized", bits=16, type_name="bfloat16")
