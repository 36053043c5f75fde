"""gpt-oss: mixture of experts, attention with sinks, sliding and full attention layers in turn.

Reference: ``GptOssForCausalLM`` of transformers. Experts are MXFP4, as in the official checkpoints,
or floats and transposed, as transformers saves a fine-tune. Every float tensor may be bfloat16,
float16 or float32, whatever the others are: trainers keep routers and norms in float32.
"""

from dataclasses import dataclass

import onnx_ir as ir

from ossc.compiler.checkpoint.strict_json import JsonObject
from ossc.compiler.dialect.bodies.expert_product import SHARED, TRANSPOSED
from ossc.compiler.dialect.builder import GraphBuilder
from ossc.compiler.families.family import Family
from ossc.compiler.families.fields.config_fields import ConfigFields
from ossc.compiler.families.fields.decoder import (
    FULL,
    SLIDING,
    DecoderConfig,
    read_decoder_fields,
    read_layer_types,
    require_values,
)
from ossc.compiler.families.fields.experts import read_expert_counts
from ossc.compiler.families.fields.rope import RopeRules
from ossc.compiler.families.layers.decoder import build_decoder, decoder_weights
from ossc.compiler.families.layers.experts import (
    combine_experts,
    expert_glu,
    expert_product,
    router,
)
from ossc.compiler.quantization import is_float, mxfp4
from ossc.compiler.storage.tensor_index import TensorIndex, WeightMap
from ossc.targets.errors import ConfigError

FIELDS = ConfigFields(
    defaults={
        "attention_bias": True,
        "head_dim": 64,
        "hidden_act": "silu",
        "layer_types": None,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-5,
        "sliding_window": 128,
        "swiglu_alpha": 1.702,
        "swiglu_limit": 7.0,
        "tie_word_embeddings": False,
    },
    obeyed=frozenset(
        {
            "experts_per_token",
            "intermediate_size",
            "num_experts",
            "num_experts_per_tok",
            "num_local_experts",
        }
    ),
    without_effect=frozenset(
        {"initial_context_length", "output_router_logits", "router_aux_loss_coef"}
    ),
)

ROPE = RopeRules(default_theta=150000.0, required=True)


@dataclass(frozen=True, kw_only=True)
class GptOssConfig(DecoderConfig):
    """What a gpt-oss model is made of."""

    num_local_experts: int
    num_experts_per_tok: int
    swiglu_alpha: float
    swiglu_limit: float


def read_config(config: JsonObject, eos_token_ids: tuple[int, ...]) -> GptOssConfig:
    """Read the configuration; layers slide in turn where it does not say which.

    Raises:
        ConfigError: It does not describe a gpt-oss model.
    """
    require_values(config, "gpt_oss", hidden_act="silu", attention_bias=True)
    layer_types = read_layer_types(config, default=(SLIDING, FULL))
    return GptOssConfig(
        **read_decoder_fields(config, eos_token_ids, layer_types=layer_types, rope=ROPE),
        **read_expert_counts(config),
        swiglu_alpha=config.number("swiglu_alpha"),
        swiglu_limit=config.number("swiglu_limit"),
    )


def weights(config: GptOssConfig, tensors: TensorIndex) -> WeightMap:
    """Take all weights; experts of floats are transposed, ``[E, K, N]``.

    Raises:
        ConfigError: MXFP4 cannot hold rows of this length.
        CheckpointError: A tensor is missing, or of another dtype or shape.
    """
    _require_whole_blocks(config, tensors)
    taken = decoder_weights(config, tensors, biases=True, sinks=True)
    n_experts, hidden = config.num_local_experts, config.hidden_size
    for layer in range(config.num_hidden_layers):
        module = f"model.layers.{layer}.mlp"
        taken |= tensors.floats(f"{module}.router.weight", (n_experts, hidden))
        taken |= tensors.floats(f"{module}.router.bias", (n_experts,))
        for name, rows, columns in (
            ("gate_up_proj", 2 * config.intermediate_size, hidden),
            ("down_proj", hidden, config.intermediate_size),
        ):
            experts = f"{module}.experts.{name}"
            if f"{experts}_blocks" in tensors:
                taken |= tensors.weight(experts, (n_experts, rows, columns))
            else:
                taken |= tensors.floats(experts, (n_experts, columns, rows))
            taken |= tensors.floats(f"{experts}_bias", (n_experts, rows))
    return taken


def _require_whole_blocks(config: GptOssConfig, tensors: TensorIndex) -> None:
    if not any(name.endswith("_proj_blocks") for name in tensors.checkpoint.tensors):
        return
    for field in ("hidden_size", "intermediate_size"):
        if getattr(config, field) % mxfp4.BLOCK_SIZE:
            raise ConfigError(
                f"{tensors.checkpoint.path / 'config.json'} has {field} {getattr(config, field)}, "
                f"but MXFP4 experts need a multiple of {mxfp4.BLOCK_SIZE}."
            )


def build(b: GraphBuilder, config: GptOssConfig) -> None:
    """Write the graph."""

    def feed_forward(b: GraphBuilder, layer: int, x: ir.Value) -> tuple[ir.Value, ir.Value]:
        module = f"model.layers.{layer}.mlp"
        indices, shares = router(b, x, f"{module}.router", config.num_experts_per_tok)
        experts, intermediate = f"{module}.experts", config.intermediate_size
        gate_up = _product(b, x, indices, f"{experts}.gate_up_proj", 2 * intermediate, [SHARED])
        activated = expert_glu(
            b,
            gate_up,
            None,
            "swiglu_oss",
            called=f"{experts}.act_fn",
            columns=intermediate,
            alpha=config.swiglu_alpha,
            limit=config.swiglu_limit,
        )
        down = _product(b, activated, indices, f"{experts}.down_proj", config.hidden_size, [])
        mixed = combine_experts(b, down, shares, called=experts, hidden=config.hidden_size)
        return mixed, indices

    build_decoder(b, config, feed_forward)


def _product(
    b: GraphBuilder, x: ir.Value, indices: ir.Value, name: str, rows: int, variants: list[str]
) -> ir.Value:
    weight = b.weight(name)
    return expert_product(
        b,
        x,
        indices,
        weight,
        called=name,
        rows=rows,
        bias=b.floats(f"{name}_bias"),
        variants=[*variants, TRANSPOSED] if is_float(weight[0]) else variants,
    )


FAMILY = Family(
    model_type="gpt_oss",
    summary="gpt-oss: MXFP4 or float experts, attention with sinks and sliding windows",
    fields=FIELDS,
    read_config=read_config,
    weights=weights,
    build=build,
)
