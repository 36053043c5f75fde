"""Mixtral 8x7B and 8x22B: mixture of experts, each stored by itself.

Reference: ``MixtralForCausalLM`` of transformers. Its router takes the softmax of all logits, the
largest k of it, and divides them by their sum, which is the softmax of the k largest logits. Of an
expert, w1 is the gate, w3 the up and w2 the down projection.
"""

from dataclasses import dataclass

import onnx_ir as ir

from ossc.compiler.checkpoint.strict_json import JsonObject
from ossc.compiler.dialect.bodies.expert_product import SHARED
from ossc.compiler.dialect.builder import GraphBuilder
from ossc.compiler.families.family import Family
from ossc.compiler.families.fields.config_fields import ConfigFields
from ossc.compiler.families.fields.decoder import (
    DecoderConfig,
    read_decoder_fields,
    read_windowed_layers,
)
from ossc.compiler.families.fields.experts import read_expert_counts
from ossc.compiler.families.fields.rope import RopeRules
from ossc.compiler.families.layers.decoder import build_decoder, decoder_weights
from ossc.compiler.families.layers.experts import (
    combine_experts,
    expert_glu,
    expert_product,
    router,
    stacked_experts,
)
from ossc.compiler.families.layers.feed_forward import GLU_OF_ACTIVATION, read_activation
from ossc.compiler.storage.tensor_index import TensorIndex, WeightMap

FIELDS = ConfigFields(
    must_be_absent=frozenset({"layer_types"}),
    defaults={
        "head_dim": None,
        "hidden_act": "silu",
        "num_experts_per_tok": 2,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-5,
        "sliding_window": None,
        "tie_word_embeddings": False,
    },
    obeyed=frozenset({"intermediate_size", "num_experts", "num_local_experts"}),
    without_effect=frozenset(
        {"output_router_logits", "router_aux_loss_coef", "router_jitter_noise"}
    ),
)

ROPE = RopeRules(default_theta=1000000.0)


@dataclass(frozen=True, kw_only=True)
class MixtralConfig(DecoderConfig):
    """What a Mixtral model is made of."""

    num_local_experts: int
    num_experts_per_tok: int


def read_config(config: JsonObject, eos_token_ids: tuple[int, ...]) -> MixtralConfig:
    """Read the configuration.

    Raises:
        ConfigError: It does not describe a Mixtral model.
    """
    read_activation(config)
    layers = read_windowed_layers(config)
    return MixtralConfig(
        **read_decoder_fields(config, eos_token_ids, layer_types=layers, rope=ROPE),
        **read_expert_counts(config, default_experts=8),
    )


def weights(config: MixtralConfig, tensors: TensorIndex) -> WeightMap:
    """Take all weights.

    Raises:
        CheckpointError: A tensor is missing, or of another dtype or shape; or the experts of a
            layer are stored in different forms.
    """
    taken = decoder_weights(config, tensors)
    n_experts, hidden, intermediate = (
        config.num_local_experts, config.hidden_size, config.intermediate_size,
    )  # fmt: skip
    shapes = {
        "w1": (intermediate, hidden),
        "w2": (hidden, intermediate),
        "w3": (intermediate, hidden),
    }
    for layer in range(config.num_hidden_layers):
        module = f"model.layers.{layer}.block_sparse_moe"
        taken |= tensors.floats(f"{module}.gate.weight", (n_experts, hidden))
        for matrix, shape in shapes.items():
            taken |= tensors.alike(_names(module, matrix, n_experts), shape)
    return taken


def _names(module: str, matrix: str, n_experts: int) -> list[str]:
    return [f"{module}.experts.{expert}.{matrix}.weight" for expert in range(n_experts)]


def build(b: GraphBuilder, config: MixtralConfig) -> None:
    """Write the graph."""
    activation = GLU_OF_ACTIVATION[config.hidden_act]
    hidden, intermediate = config.hidden_size, config.intermediate_size

    def feed_forward(b: GraphBuilder, layer: int, x: ir.Value) -> tuple[ir.Value, ir.Value]:
        module = f"model.layers.{layer}.block_sparse_moe"
        indices, shares = router(b, x, f"{module}.gate", config.num_experts_per_tok)

        def product(x: ir.Value, matrix: str, rows: int, variants: list[str]) -> ir.Value:
            called = f"{module}.experts.{matrix}"
            names = _names(module, matrix, config.num_local_experts)
            weight = stacked_experts(b, names, called)
            return expert_product(
                b, x, indices, weight, called=called, rows=rows, variants=variants
            )

        gate = product(x, "w1", intermediate, [SHARED])
        up = product(x, "w3", intermediate, [SHARED])
        activated = expert_glu(
            b, gate, up, activation, called=f"{module}.experts.act_fn", columns=intermediate
        )
        down = product(activated, "w2", hidden, [])
        mixed = combine_experts(b, down, shares, called=f"{module}.experts", hidden=hidden)
        return mixed, indices

    build_decoder(b, config, feed_forward)


FAMILY = Family(
    model_type="mixtral",
    summary="Mixtral: mixture of experts, each stored by itself, grouped-query attention",
    fields=FIELDS,
    read_config=read_config,
    weights=weights,
    build=build,
)
