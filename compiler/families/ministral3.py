"""Ministral 3: Mistral's form with YaRN, and queries that grow with their position.

Reference: ``Ministral3ForCausalLM`` of transformers. Where config.json says nothing of the
rotation, its class has one of its own.
"""

from dataclasses import replace

from ossc.compiler.checkpoint.strict_json import JsonObject
from ossc.compiler.families.family import Family
from ossc.compiler.families.fields.config_fields import ConfigFields
from ossc.compiler.families.fields.decoder import DecoderConfig
from ossc.compiler.families.fields.rope import RopeRules
from ossc.compiler.families.layers import dense_decoder

FIELDS = ConfigFields(
    must_be_absent=frozenset({"layer_types"}),
    defaults={
        "head_dim": 128,
        "hidden_act": "silu",
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-5,
        "sliding_window": None,
        "tie_word_embeddings": False,
    },
    obeyed=frozenset({"intermediate_size"}),
)

ROPE = RopeRules(default_theta=10000.0, query_scaling=True)

OWN_ROTATION = {
    "type": "yarn",
    "rope_theta": 1000000.0,
    "factor": 16.0,
    "original_max_position_embeddings": 16384,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "mscale_all_dim": 1.0,
    "mscale": 1.0,
    "llama_4_scaling_beta": 0.1,
}
"""What the class takes where neither ``rope_parameters`` nor ``rope_scaling`` is given."""


def read_config(config: JsonObject, eos_token_ids: tuple[int, ...]) -> DecoderConfig:
    """Read the configuration.

    Raises:
        ConfigError: It does not describe a Ministral 3 model.
    """
    if not config.fields.get("rope_parameters") and not config.fields.get("rope_scaling"):
        config = _with_own_rotation(config)
    return dense_decoder.read_config(config, eos_token_ids, rope=ROPE)


def _with_own_rotation(config: JsonObject) -> JsonObject:
    for field in ("rope_theta", "original_max_position_embeddings"):
        if field in config:
            config.fail(
                f"gives {field!r} but no 'rope_parameters', where transformers takes a rotation of "
                "its own; give all parameters of the rotation, or remove the field"
            )
    return replace(config, fields={**config.fields, "rope_parameters": OWN_ROTATION})


FAMILY = Family(
    model_type="ministral3",
    summary="Ministral 3: dense, YaRN, queries scaled by their position",
    fields=FIELDS,
    read_config=read_config,
    weights=dense_decoder.weights,
    build=dense_decoder.build,
)
