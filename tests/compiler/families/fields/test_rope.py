"""The parameters of the rotation, from wherever config.json gives them, as transformers reads them.

transformers is asked for its frequencies: what is accepted has to give the same ones, and what it
decides by an order of its own, where two places contradict each other, is refused.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers import GptOssConfig
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssRotaryEmbedding

from ossc.compiler.families.layers.rotary import inverse_frequencies
from ossc.compiler.families.source_model import read_model_config
from ossc.targets.errors import ConfigError
from synthetic import make_checkpoint

YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 256}
LONGER = YARN | {"factor": 8.0}
WITHOUT_LENGTH = {"rope_type": "yarn", "factor": 4.0}
LENGTH = "original_max_position_embeddings"


@pytest.fixture
def model(tmp_path):
    """A checkpoint whose config.json says nothing of the rotation."""
    make_checkpoint(tmp_path, sparse=True)
    fields = json.loads((tmp_path / "config.json").read_text())
    del fields["rope_scaling"], fields["rope_theta"]
    (tmp_path / "config.json").write_text(json.dumps(fields))
    return tmp_path


def edit(path: Path, fields: dict[str, Any]) -> None:
    config = json.loads((path / "config.json").read_text()) | fields
    (path / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"rope_scaling": YARN, "rope_theta": 1e4}, id="form-4"),
        pytest.param({"rope_parameters": YARN | {"rope_theta": 1e4}}, id="form-5"),
        pytest.param({"rope_scaling": YARN}, id="no-theta"),
        pytest.param({"rope_parameters": YARN}, id="no-theta-form-5"),
        pytest.param({"rope_parameters": YARN, "rope_theta": 1e4}, id="theta-beside"),
        pytest.param(
            {"rope_parameters": YARN | {"rope_theta": 1e4}, "rope_theta": 1e4}, id="theta-twice"
        ),
        pytest.param(
            {
                "rope_parameters": YARN | {"rope_theta": 1e4},
                "rope_scaling": YARN,
                "rope_theta": 1e4,
            },
            id="both-alike",
        ),
        pytest.param(
            {
                "rope_parameters": YARN | {"rope_theta": 1e4, "beta_fast": 32.0},
                "rope_scaling": YARN | {"rope_theta": 1e4, "truncate": True},
            },
            id="both-alike-in-other-words",
        ),
        pytest.param(
            {"rope_parameters": YARN | {"rope_theta": 1e4}, "rope_scaling": {}}, id="empty"
        ),
        pytest.param(
            {"rope_parameters": YARN | {"rope_theta": 1e4}, "rope_scaling": None}, id="null"
        ),
        pytest.param({"rope_scaling": WITHOUT_LENGTH, LENGTH: 512}, id="length-beside"),
        pytest.param({"rope_scaling": YARN, LENGTH: 256}, id="length-twice"),
        pytest.param({"rope_scaling": YARN | {"type": "yarn"}}, id="type-twice"),
        pytest.param(
            {"rope_scaling": {"type": "yarn", "factor": 4.0, LENGTH: 256}}, id="older-type"
        ),
        pytest.param({"rope_scaling": YARN | {"truncate": False}}, id="not-truncated"),
        pytest.param({"rope_scaling": YARN | {"truncate": None}}, id="truncate-null"),
        pytest.param({"rope_scaling": YARN | {"beta_fast": None}}, id="beta-null"),
        pytest.param({"rope_scaling": YARN | {"attention_factor": None}}, id="attention-null"),
        pytest.param({"rope_scaling": YARN | {"mscale": 1.0, "mscale_all_dim": 0.0}}, id="zero"),
        pytest.param({"rope_scaling": YARN | {"mscale": 1.0}}, id="scale-of-one"),
        pytest.param({"rope_scaling": YARN | {"mscale": 0.7, "mscale_all_dim": 0.5}}, id="scales"),
        pytest.param({"rope_scaling": YARN, "partial_rotary_factor": 1.0}, id="whole"),
        pytest.param({"rope_scaling": YARN | {"partial_rotary_factor": 1}}, id="whole-inside"),
        pytest.param({"rope_scaling": {"rope_type": "default"}, LENGTH: 7}, id="default"),
    ],
)
def test_what_is_accepted_rotates_as_in_transformers(model, fields):
    edit(model, fields)
    theirs = GptOssRotaryEmbedding(GptOssConfig.from_pretrained(model))
    config = read_model_config(model)
    ours = inverse_frequencies(config.rope_parameters, config.head_dim)
    np.testing.assert_allclose(ours, theirs.inv_freq.numpy(), rtol=1e-6)
    assert config.rope_parameters.attention_factor == pytest.approx(theirs.attention_scaling)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        pytest.param(
            {"rope_parameters": YARN, "rope_scaling": LONGER},
            "'rope_scaling' gives the factor 8.0 and 'rope_parameters' 4.0; remove the object",
            id="both",
        ),
        pytest.param(
            {"rope_parameters": YARN | {"rope_theta": 1e4}, "rope_scaling": YARN},
            "'rope_scaling' gives the rope_theta 150000.0 and 'rope_parameters' 10000.0",
            id="theta-in-one",
        ),
        pytest.param(
            {"rope_parameters": {"rope_type": "default"}, "rope_scaling": YARN},
            "'rope_scaling' gives the rope_type yarn and 'rope_parameters' default",
            id="types",
        ),
        pytest.param(
            {"rope_parameters": YARN | {"rope_theta": 1e4}, "rope_theta": 2e4},
            "'rope_theta' 20000.0 differs from the 10000.0 among the parameters",
            id="theta",
        ),
        pytest.param(
            {"rope_scaling": YARN, LENGTH: 512},
            "'original_max_position_embeddings' 512 differs from the 256 among the parameters",
            id="length",
        ),
        pytest.param(
            {"rope_scaling": YARN | {"type": "default"}},
            "'type' 'default' differs from 'rope_type' 'yarn'",
            id="names-of-the-type",
        ),
        pytest.param(
            {"rope_scaling": YARN, "partial_rotary_factor": 0.5},
            "config.json has the partial_rotary_factor 0.5, but only heads",
            id="partial",
        ),
        pytest.param(
            {"rope_scaling": YARN | {"partial_rotary_factor": 1.0}, "partial_rotary_factor": 0.5},
            "config.json has the partial_rotary_factor 0.5",
            id="partial-beside-whole",
        ),
        pytest.param(
            {"rope_parameters": {"full_attention": YARN, "sliding_attention": YARN}},
            "has the parameter 'full_attention', which is not supported",
            id="by-layer",
        ),
        pytest.param(
            {"rope_scaling": YARN | {"mscale": 0.7, "mscale_all_dim": 0}},
            "gives 'mscale' as 0.7 without the other one of 'mscale' and 'mscale_all_dim'",
            id="scale-alone",
        ),
        pytest.param(
            {"rope_scaling": YARN | {"mscale_all_dim": 1.0}},
            "gives 'mscale_all_dim' as 1.0 without the other one",
            id="other-scale-alone",
        ),
        pytest.param({"rope_scaling": WITHOUT_LENGTH}, f"lacks '{LENGTH}'", id="no-length"),
        pytest.param({"rope_theta": 1e4}, "gives neither 'rope_parameters' nor", id="theta-only"),
        pytest.param({"rope_scaling": {}}, "gives neither 'rope_parameters' nor", id="empty-only"),
        pytest.param({"rope_scaling": YARN, "rope_theta": None}, "lacks 'rope_theta'", id="null"),
    ],
)
def test_what_two_readers_may_read_differently_is_refused(model, fields, sentence):
    edit(model, fields)
    with pytest.raises(ConfigError) as refused:
        read_model_config(model)
    assert sentence in str(refused.value)
