"""Reading config.json and generation_config.json, in both forms."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from transformers import GptOssConfig
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssRotaryEmbedding

from ossc.compiler.families.source_model import read_model_config
from synthetic import GPT_OSS_20B, SyntheticShape, make_checkpoint


def edit(path: Path, file: str = "config.json", **fields: object) -> None:
    config = json.loads((path / file).read_text()) | fields
    (path / file).write_text(json.dumps(config))


def edit_fields(path: Path, remove: tuple[str, ...], **fields: object) -> None:
    config = json.loads((path / "config.json").read_text())
    kept = {name: value for name, value in config.items() if name not in remove}
    (path / "config.json").write_text(json.dumps(kept | fields))


@pytest.fixture
def model(tmp_path):
    return make_checkpoint(tmp_path / "model", sparse=True)


def test_the_fields_are_those_of_the_checkpoint(tmp_path):
    shape = SyntheticShape(
        vocab_size=300,
        hidden_size=96,
        intermediate_size=160,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=3,
        head_dim=10,
        num_local_experts=5,
        num_experts_per_tok=3,
        sliding_window=7,
        max_position_embeddings=1000,
        swiglu_limit=5.0,
        rms_norm_eps=1e-6,
    )
    config = read_model_config(make_checkpoint(tmp_path, shape, sparse=True))
    for field in (f.name for f in dataclasses.fields(shape) if hasattr(config, f.name)):
        if field != "layer_types":
            assert getattr(config, field) == getattr(shape, field), field
    assert config.layer_types == ("sliding_attention", "full_attention", "sliding_attention")
    assert config.model_type == "gpt_oss"


def test_both_forms_of_config_are_the_same_model(tmp_path):
    forms = [make_checkpoint(tmp_path / str(f), config_form=f, sparse=True) for f in (4, 5)]
    assert read_model_config(forms[0]) == read_model_config(forms[1])


def test_the_config_that_transformers_saves_is_read(tmp_path):
    GptOssConfig(num_hidden_layers=2, num_local_experts=8).save_pretrained(tmp_path)
    config = read_model_config(tmp_path)
    assert config.num_local_experts == 8
    assert config.rope_parameters.rope_theta == 150000.0
    assert config.eos_token_ids == ()


@pytest.mark.parametrize(
    "yarn",
    [
        {},
        {"factor": 4.0, "original_max_position_embeddings": 512},
        {"attention_factor": 1.25},
        {"factor": 1.0},
    ],
    ids=["official", "other", "given", "one"],
)
def test_the_attention_factor_is_that_of_transformers(model, yarn):
    config = json.loads((model / "config.json").read_text())
    edit(model, rope_scaling=config["rope_scaling"] | yarn)
    theirs = GptOssRotaryEmbedding(GptOssConfig.from_pretrained(model))
    ours = read_model_config(model).rope_parameters
    assert ours.attention_factor == pytest.approx(theirs.attention_scaling, rel=1e-12)
    assert theirs.inv_freq.dtype == torch.float32


def test_a_rope_without_scaling_has_no_factors(model):
    edit(model, rope_scaling={"rope_type": "default"})
    rope = read_model_config(model).rope_parameters
    assert (rope.rope_type, rope.factor, rope.attention_factor) == ("default", 1.0, 1.0)


def test_the_older_name_of_the_rope_type_is_understood(model):
    edit(model, rope_scaling={"type": "default", "partial_rotary_factor": 1.0})
    assert read_model_config(model).rope_parameters.rope_type == "default"


def test_a_model_without_sliding_layers_needs_no_window(model):
    edit(model, layer_types=["full_attention"] * 2, sliding_window=None)
    assert read_model_config(model).sliding_window is None


@pytest.mark.parametrize("also", [{}, {"num_local_experts": 4}], ids=["alone", "both"])
def test_the_other_name_of_the_number_of_experts_is_understood(model, also):
    edit_fields(model, remove=("num_local_experts",), num_experts=4, **also)
    assert read_model_config(model).num_local_experts == 4
    assert GptOssConfig.from_pretrained(model).num_local_experts == 4


def test_what_is_absent_is_as_in_transformers(model):
    absent = ("attention_bias", "head_dim", "hidden_act", "layer_types", "num_key_value_heads")
    absent += ("rms_norm_eps", "sliding_window", "swiglu_limit", "tie_word_embeddings")
    edit_fields(model, remove=absent, num_attention_heads=16)
    ours, theirs = read_model_config(model), GptOssConfig.from_pretrained(model)
    assert list(ours.layer_types) == theirs.layer_types
    for name in {*absent, "swiglu_alpha"} & {field.name for field in dataclasses.fields(ours)}:
        assert name == "layer_types" or getattr(ours, name) == getattr(theirs, name), name


def test_layers_alternate_where_their_types_are_null(model):
    edit(model, layer_types=None)
    assert read_model_config(model).layer_types == ("sliding_attention", "full_attention")


def test_the_head_size_is_derived_where_it_is_null(model):
    edit(model, head_dim=None, num_key_value_heads=None)
    config = read_model_config(model)
    assert (config.head_dim, config.num_key_value_heads) == (16, 4)


def test_the_20b_shape_is_read(tmp_path):
    config = read_model_config(make_checkpoint(tmp_path, GPT_OSS_20B, sparse=True))
    assert config.eos_token_ids == (200002, 199999, 200012)
    assert config.rope_parameters.attention_factor == pytest.approx(1.3465735902799727)
