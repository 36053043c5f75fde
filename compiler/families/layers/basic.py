"""Products with dense matrices, and normalization."""

import onnx_ir as ir

from ossc.compiler.dialect.builder import GraphBuilder
from ossc.compiler.quantization.rules import TensorClass

FLOAT = ir.DataType.FLOAT


def linear(
    b: GraphBuilder, x: ir.Value, module: str, tensor_class: TensorClass = "dense"
) -> ir.Value:
    """Write ``x @ weight.T``, and the bias where the module has one.

    Args:
        b: Where to write.
        x: ``[T, K]``.
        module: Its name; the weight ``[N, K]`` is its ``weight``.
        tensor_class: What a quantization plan calls the weight.

    Returns:
        ``[T, N]``.
    """
    rows, _ = b.weights[f"{module}.weight"].shape
    (y,) = b.call(
        "Linear",
        {"x": x, "bias": b.optional_floats(f"{module}.bias")},
        called=module,
        outputs=[(FLOAT, ("tokens", rows))],
        weight=b.weight(f"{module}.weight"),
        attributes={"tensor_class": tensor_class},
    )
    return y


def rms_norm(b: GraphBuilder, x: ir.Value, module: str, epsilon: float) -> ir.Value:
    """Write the RMS normalization of the last axis.

    Args:
        b: Where to write.
        x: ``[T, H]``.
        module: Its name; ``[H]`` is its ``weight``.
        epsilon: Added to the mean square.

    Returns:
        ``[T, H]``.
    """
    weight = b.floats(f"{module}.weight")
    (y,) = b.call(
        "RmsNorm",
        {"x": x, "weight": weight},
        called=module,
        outputs=[(FLOAT, ("tokens", *(weight.shape or ())))],
        attributes={"epsilon": epsilon},
    )
    return y
