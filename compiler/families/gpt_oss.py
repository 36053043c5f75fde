"""gpt-oss: mixture of experts, attention with sinks, sliding and full attention layers in turn.

Reference: ``GptOssForCausalLM`` of transformers. Experts are MXFP4, as in the official checkpoints,
or floats and transposed, as transformers saves a fine-tune. Every float tensor may be bfloat16,
float16 or float32, whatever the others are: trainers keep routers and norms in float32.
"""

from collections.abc import Iterator
from typing import Literal

import onnx_ir as ir

from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.config import ModelConfig
from ossc.compiler.dialect.builder import GraphBuilder
from ossc.compiler.families.family import Family
from ossc.compiler.families.fields.tied_embeddings import EMBEDDING, HEAD, tied_weight
from ossc.compiler.families.layers.attention import (
    AttentionShape,
    Positions,
    rotary_positions,
    sink_attention,
)
from ossc.compiler.families.layers.experts import (
    SwiGlu,
    experts,
    float_product,
    mxfp4_product,
    router,
)
from ossc.compiler.families.layers.linear import linear, rms_norm
from ossc.compiler.quantization import mxfp4
from ossc.targets.errors import CheckpointError, ConfigError

ExpertLayout = Literal["mxfp4", "float"]

FLOAT = ("BF16", "F16", "F32")
"""The safetensors dtypes of every tensor but the parts of MXFP4."""

TensorSpec = tuple[str, tuple[str, ...], tuple[int, ...]]
"""Name, safetensors dtypes that it may have, shape."""


def check(checkpoint: Checkpoint) -> None:
    """Compare the checkpoint with what gpt-oss is, reading headers only.

    Raises:
        ConfigError: config.json describes something else, or contradicts the tensors.
        CheckpointError: A tensor is missing, unknown, or of another dtype or shape.
    """
    _check_config(checkpoint)
    layout = expert_layout(checkpoint)
    tied = tied_weight(checkpoint)
    specs = [spec for spec in tensor_specs(checkpoint.config, layout) if spec[0] not in tied]
    expected = {name for name, _, _ in specs}
    _check_quant_method(checkpoint, layout, expected)
    for name, dtypes, shape in specs:
        checkpoint.require(name, dtypes, shape)
    for name, entry in checkpoint.tensors.items():
        if name not in expected:
            raise CheckpointError(
                f"{entry.file}: tensor {name!r} has no place in a gpt_oss model of "
                f"{checkpoint.config.num_hidden_layers} layers with {layout} experts; "
                "leave it out, or correct config.json."
            )


def _check_config(checkpoint: Checkpoint) -> None:
    config = checkpoint.config
    for field, given, needed in (
        ("hidden_act", config.hidden_act, "silu"),
        ("attention_bias", config.attention_bias, True),
    ):
        if given != needed:
            raise ConfigError(
                f"{checkpoint.path / 'config.json'} has {field} {given!r}, but gpt_oss is defined "
                f"with {needed!r} only."
            )


def _check_quant_method(checkpoint: Checkpoint, layout: ExpertLayout, expected: set[str]) -> None:
    """Refuse a method of quantization that the tensors do not speak against.

    One that was left in config.json when the weights were made plain again changes nothing.
    """
    method = checkpoint.config.quant_method
    left_over = layout == "float" and checkpoint.tensors.keys() == expected
    if method not in (None, "mxfp4") and not left_over:
        raise ConfigError(
            f"{checkpoint.path / 'config.json'} has the quant_method {method!r}, but gpt_oss "
            "checkpoints are read in mxfp4 or, without quantization_config, as floats."
        )


def notes(checkpoint: Checkpoint) -> Iterator[str]:
    """Say where the tensors of a checked checkpoint decided against config.json."""
    config, path = checkpoint.config, checkpoint.path / "config.json"
    layout = expert_layout(checkpoint)
    if layout == "float" and config.quant_method is not None:
        yield (
            f"{path} has a quantization_config with the quant_method {config.quant_method!r}, but "
            "no tensor is quantized; the tensors are read as they are."
        )
    if layout == "mxfp4" and config.quant_method is None:
        yield (
            f"{path} has no quantization_config, but the experts are MXFP4 blocks; they are read "
            "as such."
        )


def expert_layout(checkpoint: Checkpoint) -> ExpertLayout:
    """Tell from the tensors how the experts are stored.

    Raises:
        ConfigError: MXFP4 cannot hold rows of this length.
    """
    config, path = checkpoint.config, checkpoint.path / "config.json"
    if not any(name.endswith("_proj_blocks") for name in checkpoint.tensors):
        return "float"
    for field in ("hidden_size", "intermediate_size"):
        if getattr(config, field) % mxfp4.BLOCK_SIZE:
            raise ConfigError(
                f"{path} has {field} {getattr(config, field)}, but MXFP4 experts need a "
                f"multiple of {mxfp4.BLOCK_SIZE}."
            )
    return "mxfp4"


def tensor_specs(config: ModelConfig, layout: ExpertLayout) -> Iterator[TensorSpec]:
    """List every tensor of a checkpoint: name, dtypes that it may have, and shape."""
    vocab, hidden = config.vocab_size, config.hidden_size
    yield EMBEDDING, FLOAT, (vocab, hidden)
    for layer in range(config.num_hidden_layers):
        prefix = f"model.layers.{layer}"
        yield f"{prefix}.input_layernorm.weight", FLOAT, (hidden,)
        yield from _attention_specs(config, f"{prefix}.self_attn")
        yield f"{prefix}.post_attention_layernorm.weight", FLOAT, (hidden,)
        yield f"{prefix}.mlp.router.weight", FLOAT, (config.num_local_experts, hidden)
        yield f"{prefix}.mlp.router.bias", FLOAT, (config.num_local_experts,)
        yield from _expert_specs(config, f"{prefix}.mlp.experts", layout)
    yield "model.norm.weight", FLOAT, (hidden,)
    yield HEAD, FLOAT, (vocab, hidden)


def _attention_specs(config: ModelConfig, prefix: str) -> Iterator[TensorSpec]:
    heads, hidden = config.num_attention_heads * config.head_dim, config.hidden_size
    kv_heads = config.num_key_value_heads * config.head_dim
    for name, rows, columns in (
        ("q_proj", heads, hidden),
        ("k_proj", kv_heads, hidden),
        ("v_proj", kv_heads, hidden),
        ("o_proj", hidden, heads),
    ):
        yield f"{prefix}.{name}.weight", FLOAT, (rows, columns)
        yield f"{prefix}.{name}.bias", FLOAT, (rows,)
    yield f"{prefix}.sinks", FLOAT, (config.num_attention_heads,)


def _expert_specs(config: ModelConfig, prefix: str, layout: ExpertLayout) -> Iterator[TensorSpec]:
    n_experts = config.num_local_experts
    hidden, intermediate = config.hidden_size, config.intermediate_size
    for name, rows, columns in (
        ("gate_up_proj", 2 * intermediate, hidden),
        ("down_proj", hidden, intermediate),
    ):
        if layout == "mxfp4":
            blocks, scales = mxfp4.part_shapes((n_experts, rows, columns))
            yield f"{prefix}.{name}_blocks", ("U8",), blocks
            yield f"{prefix}.{name}_scales", ("U8",), scales
        else:
            yield f"{prefix}.{name}", FLOAT, (n_experts, columns, rows)
        yield f"{prefix}.{name}_bias", FLOAT, (n_experts, rows)


def build(b: GraphBuilder) -> None:
    """Write the graph: tokens, positions and cache in; logits, cache and chosen experts out."""
    config = b.checkpoint.config
    for name, stored in tied_weight(b.checkpoint).items():
        b.alias(name, stored)
    input_ids = b.input("input_ids", ir.DataType.INT64, ["batch", "sequence"])
    position_ids = b.input("position_ids", ir.DataType.INT64, ["batch", "sequence"])
    with b.scope("model.rotary_emb"):
        positions = rotary_positions(b, position_ids, config.rope_parameters, config.head_dim)
    with b.scope("model.embed_tokens"):
        ids = b.op("Reshape", input_ids, b.integers(-1))
        rows = b.op("Gather", b.weight(EMBEDDING), ids, axis=0)
        hidden = b.op("Cast", rows, to=ir.DataType.FLOAT)  # [T, H]
    outputs = []
    for layer in range(config.num_hidden_layers):
        with b.scope(f"model.layers.{layer}"):
            hidden, *observed = _layer(b, layer, hidden, positions)
            outputs.append(observed)
    with b.scope("lm_head"):
        normed = rms_norm(b, hidden, "model.norm.weight", config.rms_norm_eps)
        flat = linear(b, normed, HEAD)
        shape = b.op("Concat", b.op("Shape", input_ids), b.integers(config.vocab_size), axis=0)
        logits = b.op("Reshape", flat, shape)
    b.output("logits", logits, ir.DataType.FLOAT, ["batch", "sequence", config.vocab_size])
    for layer, observed in enumerate(outputs):
        _layer_outputs(b, layer, *observed)


def _layer(
    b: GraphBuilder, layer: int, hidden: ir.Value, positions: Positions
) -> tuple[ir.Value, ir.Value, ir.Value, ir.Value]:
    """Write one decoder layer; return hidden ``[T, H]``, new keys, new values, chosen experts."""
    config, prefix = b.checkpoint.config, f"model.layers.{layer}"
    with b.scope("self_attn"):
        normed = rms_norm(b, hidden, f"{prefix}.input_layernorm.weight", config.rms_norm_eps)
        attended, key, value = _attention(b, layer, normed, positions)
        hidden = b.op("Add", attended, hidden)
    with b.scope("mlp"):
        normed = rms_norm(
            b, hidden, f"{prefix}.post_attention_layernorm.weight", config.rms_norm_eps
        )
        choice = router(b, normed, f"{prefix}.mlp.router", config.num_experts_per_tok)
        product = mxfp4_product if expert_layout(b.checkpoint) == "mxfp4" else float_product
        activation = SwiGlu(alpha=config.swiglu_alpha, limit=config.swiglu_limit)
        mixed = experts(b, normed, f"{prefix}.mlp.experts", choice, product, activation)
        return b.op("Add", mixed, hidden), key, value, choice[0]


def _attention(
    b: GraphBuilder, layer: int, normed: ir.Value, positions: Positions
) -> tuple[ir.Value, ir.Value, ir.Value]:
    config, prefix = b.checkpoint.config, f"model.layers.{layer}.self_attn"
    projected = [
        linear(b, normed, f"{prefix}.{name}.weight", f"{prefix}.{name}.bias")
        for name in ("q_proj", "k_proj", "v_proj")
    ]
    cache = ("batch", config.num_key_value_heads, "past_sequence", config.head_dim)
    past = [
        b.input(f"past_key_values.{layer}.{kind}", ir.DataType.FLOAT, cache)
        for kind in ("key", "value")
    ]
    slides = config.layer_types[layer] == "sliding_attention"
    shape = AttentionShape(
        num_heads=config.num_attention_heads,
        num_kv_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        window=config.sliding_window if slides else None,
    )
    sinks = b.weight(f"{prefix}.sinks")
    result, key, value = sink_attention(b, projected, past, sinks, positions, shape)
    return linear(b, result, f"{prefix}.o_proj.weight", f"{prefix}.o_proj.bias"), key, value


def _layer_outputs(
    b: GraphBuilder, layer: int, key: ir.Value, value: ir.Value, indices: ir.Value
) -> None:
    config = b.checkpoint.config
    cache = ("batch", config.num_key_value_heads, "total_sequence", config.head_dim)
    b.output(f"present.{layer}.key", key, ir.DataType.FLOAT, cache)
    b.output(f"present.{layer}.value", value, ir.DataType.FLOAT, cache)
    chosen = ("tokens", config.num_experts_per_tok)
    b.output(f"router_indices.{layer}", indices, ir.DataType.INT64, chosen)


FAMILY = Family(
    model_type="gpt_oss",
    summary="gpt-oss: MXFP4 or float experts, attention with sinks and sliding windows",
    check=check,
    notes=notes,
    build=build,
)
