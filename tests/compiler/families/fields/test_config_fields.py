"""Every field of config.json that transformers reads is obeyed, refused, or without effect."""

import ast
import dataclasses
import inspect
import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig, GptOssConfig, GptOssForCausalLM
from transformers.configuration_utils import PreTrainedConfig

from ossc.compiler.families.fields.config_fields import (
    CLASS_DEFAULTS,
    MUST_BE_ABSENT,
    OBEYED,
    OF_GENERATION,
    ONE_VALUE,
    WITHOUT_EFFECT,
    unknown_fields,
)
from ossc.compiler.families.source_model import read_config_json, read_model_config
from ossc.targets.errors import ConfigError
from synthetic import SyntheticShape, make_checkpoint

KNOWN = OBEYED | ONE_VALUE.keys() | MUST_BE_ABSENT | WITHOUT_EFFECT

OF_THE_CLASS = {"_post_init_done", "ignore_keys_at_rope_validation"}
"""What the class keeps for itself; no rotation or logit follows from it."""

TOKEN_IDS = torch.arange(24)[None] * 7 % 60


def config_of(**changes: Any) -> GptOssConfig:
    """A tiny model's config with fields of config.json replaced."""
    shape = SyntheticShape(vocab_size=64, sliding_window=5, max_position_embeddings=256)
    sizes = {name: v for name, v in vars(shape).items() if name in OBEYED and v is not None}
    return GptOssConfig(**(sizes | changes))


def model_of(config: GptOssConfig) -> GptOssForCausalLM:
    model = GptOssForCausalLM._from_config(
        config, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager"
    )
    return model.eval()


def logits_of(model: GptOssForCausalLM) -> torch.Tensor:
    with torch.no_grad():
        return model(TOKEN_IDS, use_cache=False, output_attentions=False).logits


@pytest.fixture(scope="module")
def reference() -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Weights of a tiny model, large enough for every rule to be seen, and its logits."""
    torch.manual_seed(0)
    model = model_of(config_of(initializer_range=0.3))
    return model.state_dict(), logits_of(model)


def fields_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Let the reference save, load and run a model; return the attributes that it asks for."""
    read: set[str] = set()

    def record(config: GptOssConfig, name: str) -> Any:
        read.add(name)
        return PreTrainedConfig.__getattribute__(config, name)

    monkeypatch.setattr(GptOssConfig, "__getattribute__", record, raising=False)
    model_of(config_of()).save_pretrained(folder)
    model = GptOssForCausalLM.from_pretrained(folder, attn_implementation="eager")
    model.generate(TOKEN_IDS, max_new_tokens=2, do_sample=False)
    logits_of(model)
    monkeypatch.undo()
    methods = {name for name in read if callable(getattr(GptOssConfig, name, None))}
    return {name for name in read - methods if not name.startswith("__")}


def names_taken(function: Callable[..., Any], *sources: str) -> set[str]:
    """Return the literal names that a function takes out of dictionaries of these names."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("get", "pop")
        and ast.unparse(node.func.value) in sources
        and isinstance(node.args[0], ast.Constant)
    }


@pytest.mark.filterwarnings("ignore")
def test_every_field_that_transformers_reads_is_known(tmp_path, monkeypatch):
    read = fields_read(tmp_path, monkeypatch)
    assert {"swiglu_limit", "is_causal", "per_layer_config", "rope_parameters"} <= read
    read |= {field.name for field in dataclasses.fields(GptOssConfig)}
    read |= GptOssConfig.attribute_map.keys()
    read |= GenerationConfig._get_default_generation_params().keys()
    for function in (
        GptOssConfig.__post_init__,
        PreTrainedConfig.__post_init__,
        PreTrainedConfig.convert_rope_params_to_dict,
    ):
        read |= names_taken(function, "kwargs")
    assert sorted(read - KNOWN - OF_THE_CLASS) == []


def test_the_defaults_are_those_of_the_class():
    fields = {field.name: field.default for field in dataclasses.fields(GptOssConfig)}
    assert {name: fields[name] for name in CLASS_DEFAULTS} == CLASS_DEFAULTS


CHANGED = {
    "eos_token_id": 5,
    "experts_per_token": 3,
    "hidden_act": "gelu",
    "layer_types": ["full_attention", "full_attention"],
    "model_type": "llama",
    "num_experts": 5,
    "original_max_position_embeddings": 128,
    "partial_rotary_factor": 0.5,
    "quantization_config": None,
    "rope_parameters": {"rope_type": "default"},
    "rope_scaling": {"rope_type": "default"},
}


def changed(name: str, value: Any) -> Any:
    """Another value of a field."""
    if name in CHANGED:
        return CHANGED[name]
    return not value if isinstance(value, bool) else value * 2


@pytest.mark.parametrize("name", sorted(OBEYED))
def test_a_field_that_is_obeyed_changes_the_model_or_is_refused(tmp_path, name):
    make_checkpoint(tmp_path, sparse=True, generation_config=False)
    before = read_model_config(tmp_path)
    file = tmp_path / "config.json"
    fields = CLASS_DEFAULTS | json.loads(file.read_text())
    fields[name] = changed(name, fields.get(name))
    file.write_text(json.dumps(fields))
    try:
        after = read_model_config(tmp_path)
    except ConfigError:
        return
    assert after != before
    assert not list(unknown_fields(read_config_json(tmp_path)))


@pytest.mark.parametrize("name", sorted(ONE_VALUE.keys() | MUST_BE_ABSENT))
def test_a_field_that_makes_another_model_is_refused_in_one_sentence(tmp_path, name):
    make_checkpoint(tmp_path, sparse=True)
    before = read_model_config(tmp_path)
    file = tmp_path / "config.json"
    fields = json.loads(file.read_text())
    file.write_text(json.dumps(fields | {name: ONE_VALUE.get(name)}))
    assert read_model_config(tmp_path) == before
    file.write_text(json.dumps(fields | {name: not ONE_VALUE.get(name)}))
    with pytest.raises(ConfigError, match=f"gives '{name}' as"):
        read_model_config(tmp_path)


VALUES = {
    "architectures": ["GptOssModel"],
    "dtype": "float16",
    "torch_dtype": "float16",
    "id2label": {"0": "a", "1": "b", "2": "c"},
    "label2id": {"a": 0, "b": 1},
    "problem_type": "regression",
    "_attn_implementation": "eager",
    "_experts_implementation": "eager",
    "attn_implementation": "eager",
    "experts_implementation": "eager",
    "attention_dropout": 0.5,
    "initializer_range": 0.9,
    "router_aux_loss_coef": 0.5,
    "output_router_logits": True,
    "output_hidden_states": True,
    "output_attentions": True,
    "_output_attentions": True,
    "return_dict": True,
    "use_cache": False,
    "gradient_checkpointing": True,
    "transformers_version": "1.0",
    "embed_dim": 128,
    "vision_feature_select_strategy": "full",
    "base_model_tp_plan": {},
    "base_model_pp_plan": {},
    "base_model_ep_plan": {},
    "base_model_fsdp_plan": {},
}
"""Another value for a field without effect, where 3 is not one."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "names",
    [
        pytest.param(OF_GENERATION, id="generation"),
        *({name} for name in sorted(WITHOUT_EFFECT - OF_GENERATION)),
    ],
    ids=lambda names: next(iter(names)),
)
def test_a_field_without_effect_changes_neither_our_model_nor_a_logit(tmp_path, reference, names):
    fields = {name: VALUES.get(name, 3) for name in names}
    make_checkpoint(tmp_path, sparse=True)
    before = read_model_config(tmp_path)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))
    assert read_model_config(tmp_path) == before
    assert not list(unknown_fields(read_config_json(tmp_path)))

    weights, logits = reference
    model = model_of(config_of(**fields))
    model.load_state_dict(weights)
    torch.testing.assert_close(logits_of(model), logits, rtol=0, atol=0)


@pytest.mark.parametrize(
    "changes",
    [
        {"is_causal": False},
        {"swiglu_limit": 0.25},
        {"original_max_position_embeddings": 8},
        {"attribute_map": {"swiglu_limit": "initializer_range"}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_the_comparison_sees_a_field_with_an_effect(reference, changes):
    weights, logits = reference
    model = model_of(config_of(**changes))
    model.load_state_dict(weights)
    assert (logits_of(model) - logits).abs().max() > 1e-3


def test_a_field_that_nobody_knows_is_listed(tmp_path):
    make_checkpoint(tmp_path, sparse=True)
    file = tmp_path / "config.json"
    fields = json.loads(file.read_text()) | {"router_scale": 2.0, "other": None}
    file.write_text(json.dumps(fields))
    assert list(unknown_fields(read_config_json(tmp_path))) == ["router_scale"]
