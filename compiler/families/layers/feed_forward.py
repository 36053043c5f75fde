"""A dense feed-forward part with a gate."""

import onnx_ir as ir

from ossc.compiler.checkpoint.strict_json import JsonObject
from ossc.compiler.dialect.builder import GraphBuilder
from ossc.compiler.families.fields.decoder import DecoderConfig
from ossc.compiler.families.layers.basic import FLOAT, linear
from ossc.compiler.storage.tensor_index import TensorIndex, WeightMap

GLU_OF_ACTIVATION = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
}
"""``hidden_act`` as transformers names it, and the variant of ``Glu`` that computes it."""


def read_activation(config: JsonObject) -> str:
    """Read ``hidden_act``.

    Returns:
        A variant of ``Glu``.

    Raises:
        ConfigError: There is no such activation.
    """
    name = config.text("hidden_act")
    if name not in GLU_OF_ACTIVATION:
        config.fail(
            f"has the hidden_act {name!r}, but only {', '.join(GLU_OF_ACTIVATION)} are supported"
        )
    return GLU_OF_ACTIVATION[name]


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


def gated_feed_forward(b: GraphBuilder, x: ir.Value, module: str, hidden_act: str) -> ir.Value:
    """Write ``down(act(gate(x)) * up(x))``.

    Args:
        b: Where to write.
        x: ``[T, H]``.
        module: Its name.
        hidden_act: The activation, as transformers names it.

    Returns:
        ``[T, H]``.
    """
    gate, up = linear(b, x, f"{module}.gate_proj"), linear(b, x, f"{module}.up_proj")
    (activated,) = b.call(
        "Glu",
        {"x": gate, "up": up},
        called=f"{module}.act_fn",
        outputs=[(FLOAT, tuple(gate.shape or ()))],
        variants=[GLU_OF_ACTIVATION[hidden_act]],
    )
    return linear(b, activated, f"{module}.down_proj")
