"""Mistral 7B, Nemo, Small and other dense ones: Llama's form with a window on all layers.

Reference: ``MistralForCausalLM`` of transformers, whose window is 4096 where the field is absent,
and none where it is null.
"""

from functools import partial

from ossc.compiler.families.family import Family
from ossc.compiler.families.fields.config_fields import ConfigFields
from ossc.compiler.families.fields.rope import RopeRules
from ossc.compiler.families.layers.dense_decoder import build, read_config, weights

FIELDS = ConfigFields(
    must_be_absent=frozenset({"layer_types"}),
    defaults={
        "head_dim": None,
        "hidden_act": "silu",
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-6,
        "sliding_window": 4096,
        "tie_word_embeddings": False,
    },
    obeyed=frozenset({"intermediate_size"}),
)

ROPE = RopeRules(default_theta=10000.0)

FAMILY = Family(
    model_type="mistral",
    summary="Mistral: dense, grouped-query attention, a window on all layers or on none",
    fields=FIELDS,
    read_config=partial(read_config, rope=ROPE),
    weights=weights,
    build=build,
)
