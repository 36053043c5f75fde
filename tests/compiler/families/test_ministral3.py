"""What a Ministral 3's config.json has to say of its rotation."""

import json

import pytest

from family_models import SIZES
from ossc.compiler.families.source_model import read_model_config
from ossc.targets.errors import ConfigError

BETA = {"llama_4_scaling_beta": 0.1}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        pytest.param(
            {"rope_parameters": BETA | {"rope_type": "default"}},
            "lacks 'original_max_position_embeddings', which is needed",
            id="default-without-context",
        ),
        pytest.param(
            {"rope_parameters": BETA | {"rope_type": "linear", "factor": 2.0}},
            "lacks 'original_max_position_embeddings', which is needed",
            id="linear-without-context",
        ),
        pytest.param(
            {"rope_parameters": {"rope_type": "default"}},
            "lacks 'llama_4_scaling_beta', which is needed",
            id="without-beta",
        ),
        pytest.param(
            {"rope_theta": 1e4}, "gives 'rope_theta' but no 'rope_parameters'", id="theta-alone"
        ),
        pytest.param(
            {"rope_scaling": None, "original_max_position_embeddings": 64},
            "gives 'original_max_position_embeddings' but no 'rope_parameters'",
            id="context-alone",
        ),
    ],
)
def test_a_rotation_that_is_told_by_halves_is_refused(tmp_path, fields, sentence):
    config = SIZES | {"model_type": "ministral3", "head_dim": 16} | fields
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError) as refused:
        read_model_config(tmp_path)
    assert sentence in str(refused.value)
