"""float32, four bytes a weight, read as they are."""

from ossc.compiler.backends.cpu.weights.floats import float_format

FORMAT = float_format(
    scheme="f32", value_bytes=4, loaded_as="float32", widen=lambda values, _isa: values
)
