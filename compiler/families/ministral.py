"""Ministral 8B: Mistral's form with a window on the layers that ``layer_types`` names.

Reference: ``MinistralForCausalLM`` of transformers; without ``layer_types`` all layers have the
window, which is 4096 where the field is absent, and none where it is null.
"""

from functools import partial

from ossc.compiler.families.family import Family
from ossc.compiler.families.fields.config_fields import ConfigFields
from ossc.compiler.families.fields.rope import RopeRules
from ossc.compiler.families.layers.dense_decoder import build, read_config, weights

FIELDS = ConfigFields(
    defaults={
        "head_dim": None,
        "hidden_act": "silu",
        "layer_types": None,
        "num_key_value_heads": 8,
        "rms_norm_eps": 1e-6,
        "sliding_window": 4096,
        "tie_word_embeddings": False,
    },
    obeyed=frozenset({"intermediate_size"}),
)

ROPE = RopeRules(default_theta=10000.0)

FAMILY = Family(
    model_type="ministral",
    summary="Ministral 8B: dense, grouped-query attention, sliding and full attention layers",
    fields=FIELDS,
    read_config=partial(read_config, rope=ROPE),
    weights=weights,
    build=build,
)
