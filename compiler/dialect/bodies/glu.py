"""The activations of gated products: what they share in the bodies of several operations."""

from ossc.compiler.dialect.operation import Options

ACTIVATIONS = ("silu", "gelu", "gelu_tanh", "swiglu_oss")
"""Variants of an operation with a gate: ``silu(gate) * up`` and the like; ``swiglu_oss`` is that of
gpt-oss, ``(up + 1) * gate * sigmoid(alpha * gate)``, the gate clamped above at ``limit`` and the up
both ways."""

_ACTIVATED = {
    "silu": "activated = Swish <alpha = 1.0> (gate)",
    "gelu": "activated = Gelu (gate)",
    "gelu_tanh": 'activated = Gelu <approximate = "tanh"> (gate)',
}

_SWIGLU_OSS = """
    limit = Constant <value_float: float = @limit> ()
    least = Neg (limit)
    clamped_gate = Min (gate, limit)
    clamped_up = Clip (up, least, limit)
    swish = Swish <alpha: float = @alpha> (clamped_gate)
    unit = Constant <value = float {1}> ()
    scaled_up = Add (clamped_up, unit)
    y = Mul (scaled_up, swish)
"""


def activation_of(options: Options) -> str:
    """Return the activation among the options of a node."""
    (activation,) = options.intersection(ACTIVATIONS)
    return activation


def glu_body(options: Options) -> str:
    """Return nodes from ``gate`` and ``up`` to ``y``."""
    activation = activation_of(options)
    if activation == "swiglu_oss":
        return _SWIGLU_OSS
    return f"{_ACTIVATED[activation]}\n y = Mul (activated, up)\n"


def split_body(gate_up: str) -> str:
    """Return nodes that take ``gate`` from the even columns of a value and ``up`` from the odd."""
    return f"""
        last_column_axis = Constant <value_ints = [-1]> ()
        zero = Constant <value_ints = [0]> ()
        one = Constant <value_ints = [1]> ()
        two = Constant <value_ints = [2]> ()
        end = Constant <value_ints = [9223372036854775807]> ()
        gate = Slice ({gate_up}, zero, end, last_column_axis, two)
        up = Slice ({gate_up}, one, end, last_column_axis, two)
    """
