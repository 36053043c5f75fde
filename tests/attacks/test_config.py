"""Configs that are missing, damaged, of the wrong types, or that contradict themselves."""

import json
import os
from pathlib import Path

import pytest

from ossc.compiler.families.source_model import read_model_config
from ossc.targets.errors import ConfigError
from synthetic import make_checkpoint


@pytest.fixture
def model(tmp_path):
    return make_checkpoint(tmp_path / "model", sparse=True)


def edit(path: Path, file: str = "config.json", **fields: object) -> None:
    config = json.loads((path / file).read_text()) | fields
    (path / file).write_text(json.dumps(config))


def refusal(path: Path, file: str = "config.json") -> str:
    with pytest.raises(ConfigError) as refused:
        read_model_config(path)
    message = str(refused.value)
    assert message.startswith(str(path / file))
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 500
    return message


YARN = {"rope_type": "yarn", "factor": 32.0, "original_max_position_embeddings": 4096}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"model_type": "gpt2"}, "has the model_type 'gpt2', but ossc knows only"),
        ({"model_type": "../gpt_oss"}, "has the model_type '../gpt_oss'"),
        ({"model_type": "__init__"}, "has the model_type '__init__'"),
        ({"model_type": None}, "lacks 'model_type'"),
        ({"model_type": 3}, "gives 'model_type' as 3, but it has to be a string"),
        ({"vocab_size": None}, "lacks 'vocab_size', which is needed"),
        ({"vocab_size": "512"}, "gives 'vocab_size' as '512', but it has to be an integer"),
        ({"vocab_size": 512.0}, "gives 'vocab_size' as 512.0"),
        ({"vocab_size": True}, "gives 'vocab_size' as True"),
        ({"hidden_size": 0}, "gives 'hidden_size' as 0"),
        ({"hidden_size": -64}, "gives 'hidden_size' as -64"),
        ({"hidden_size": 2**31}, "gives 'hidden_size' as 2147483648"),
        ({"hidden_size": 10**4000}, "gives 'hidden_size' as 1000"),
        ({"rms_norm_eps": 0}, "gives 'rms_norm_eps' as 0, but it has to be a finite number"),
        ({"rms_norm_eps": 10**400}, "gives 'rms_norm_eps' as 1000"),
        ({"swiglu_limit": None}, "lacks 'swiglu_limit'"),
        ({"attention_bias": "yes"}, "gives 'attention_bias' as 'yes', but it has to be true"),
        ({"num_hidden_layers": 3}, "has 3 layers but 2 layer_types"),
        ({"layer_types": "sliding"}, "gives 'layer_types' as 'sliding', but it has to be a list"),
        ({"layer_types": ["full_attention", "chunked"]}, "has the layer type 'chunked'"),
        ({"layer_types": ["full_attention", 1]}, "gives 'layer_types' as"),
        ({"sliding_window": None}, "lacks 'sliding_window'"),
        ({"sliding_window": 0}, "gives 'sliding_window' as 0"),
        ({"num_key_value_heads": 3}, "which 3 key-value heads cannot share evenly"),
        ({"head_dim": 33}, "has head_dim 33, but rotary embedding needs an even number"),
        ({"num_experts_per_tok": 5}, "chooses 5 experts for a token, but has only 4"),
        ({"num_experts": 5}, "'num_local_experts' 4 differs from 'num_experts' 5"),
        ({"num_local_experts": None}, "lacks 'num_local_experts'"),
        ({"num_hidden_layers": 2**31 - 1, "layer_types": None}, "at most 10000 are believed"),
        ({"experts_per_token": 3}, "'experts_per_token' 3 differs from 'num_experts_per_tok' 2"),
        ({"eos_token_id": 512}, None),
        ({"quantization_config": "mxfp4"}, "gives 'quantization_config' as 'mxfp4'"),
        ({"quantization_config": {}}, "quantization_config, lacks 'quant_method'"),
        ({"rope_scaling": None}, "gives neither 'rope_parameters' nor 'rope_scaling'"),
        ({"rope_theta": None}, "lacks 'rope_theta'"),
        ({"rope_theta": -1.0}, "gives 'rope_theta' as -1.0"),
        ({"rope_theta": 1.0}, "has the rope_theta 1.0, which has to be between 1 and 1e+30"),
        ({"rope_theta": 1e39}, "has the rope_theta 1e+39, which has to be between"),
        ({"rope_parameters": YARN | {"rope_theta": 1.0}}, "contradicts itself: 'rope_theta'"),
        ({"rope_scaling": YARN | {"rope_type": "longrope"}}, "has the rope_type 'longrope'"),
        ({"rope_scaling": YARN | {"factor": 0.5}}, "has the factor 0.5"),
        ({"rope_scaling": YARN | {"factor": 1e39}}, "has the factor 1e+39"),
        ({"rope_scaling": YARN | {"factor": None}}, "lacks 'factor'"),
        ({"rope_scaling": YARN | {"beta_fast": 0.5}}, "has beta_fast 0.5"),
        ({"rope_scaling": YARN | {"mscale": "1"}}, "gives 'mscale' as '1'"),
        ({"rope_scaling": YARN | {"partial_rotary_factor": 0.5}}, "the partial_rotary_factor 0.5"),
        ({"rope_scaling": {"rope_type": "default", "factor": 2.0}}, "has the parameter 'factor'"),
    ],
)
def test_a_wrong_config_is_refused_in_one_sentence(model, fields, sentence):
    edit(model, **fields)
    if sentence is None:
        assert read_model_config(model).eos_token_ids == (505, 504, 511)
    else:
        assert sentence in refusal(model)


@pytest.mark.parametrize("ids", [512, -1, [505, 512], "505", [True], {"a": 1}, 1.0])
@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
def test_a_stop_id_outside_of_the_vocabulary_is_refused(model, ids, file):
    edit(model, "generation_config.json", eos_token_id=None)
    edit(model, file, eos_token_id=ids)
    assert "has the eos_token_id" in refusal(model, file)


@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(b"", "is not valid JSON", id="empty"),
        pytest.param(b"{", "is not valid JSON", id="truncated"),
        pytest.param(b"\xff", "is not valid JSON", id="not-utf-8"),
        pytest.param(b"[1]", "has to hold a JSON object, but holds [1]", id="list"),
        pytest.param(b'{"a": NaN}', "NaN is no JSON number", id="nan"),
        pytest.param(b'{"a": -Infinity}', "-Infinity is no JSON number", id="infinity"),
        pytest.param(b'{"a": {"b": 1, "b": 1}}', "the key 'b' is there more than once", id="twice"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", "is not valid JSON", id="long-number"),
        pytest.param(b"[" * 100_000, "nested too deeply", id="deep"),
    ],
)
def test_a_file_that_is_not_strict_json_is_refused(model, file, content, sentence):
    (model / file).write_bytes(content)
    assert sentence in refusal(model, file)


def test_a_huge_config_is_not_read(model):
    os.truncate(model / "config.json", 10**9)
    assert "is larger than 16777216 bytes" in refusal(model)


def test_a_missing_config_is_named(model):
    (model / "config.json").unlink()
    assert "is not there" in refusal(model)


def test_a_pipe_is_not_waited_for(model):
    (model / "config.json").unlink()
    os.mkfifo(model / "config.json")
    assert "no regular file" in refusal(model)


def test_a_generation_config_that_is_a_link_to_nothing_is_not_passed_over(model):
    (model / "generation_config.json").unlink()
    (model / "generation_config.json").symlink_to("blob")
    assert "is not there" in refusal(model, "generation_config.json")
