"""A dense feed-forward part with a gate."""

import onnx_ir as ir

from ossc.compiler.dialect.builder import GraphBuilder
from ossc.compiler.families.fields.decoder import DecoderConfig
from ossc.compiler.families.layers.basic import FLOAT, linear
from ossc.compiler.storage.tensor_index import TensorIndex, WeightMap


def gated_weights(
    config: DecoderConfig, tensors: TensorIndex, module: str, *, biases: bool = False
) -> WeightMap:
    """Take ``gate_proj``, ``up_proj`` and ``down_proj`` of a module.

    Raises:
        CheckpointError: One is missing, or of another dtype or shape.
    """
    hidden, intermediate = config.hidden_size, config.intermediate_size
    weights: WeightMap = {}
    for name, shape in (
        ("gate_proj", (intermediate, hidden)),
        ("up_proj", (intermediate, hidden)),
        ("down_proj", (hidden, intermediate)),
    ):
        weights |= tensors.weight(f"{module}.{name}.weight", shape)
        if biases:
            weights |= tensors.floats(f"{module}.{name}.bias", shape[:1])
    return weights


def gated_feed_forward(b: GraphBuilder, x: ir.Value, module: str, activation: str) -> ir.Value:
    """Write ``down(activation(gate(x)) * up(x))``.

    Args:
        b: Where to write.
        x: ``[T, H]``.
        module: Its name.
        activation: A variant of ``Glu``.

    Returns:
        ``[T, H]``.
    """
    gate, up = linear(b, x, f"{module}.gate_proj"), linear(b, x, f"{module}.up_proj")
    (activated,) = b.call(
        "Glu",
        {"x": gate, "up": up},
        called=f"{module}.act_fn",
        outputs=[(FLOAT, tuple(gate.shape or ()))],
        variants=[activation],
    )
    return linear(b, activated, f"{module}.down_proj")
