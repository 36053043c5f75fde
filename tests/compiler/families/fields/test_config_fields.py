"""Every field of config.json that transformers reads is obeyed, refused, or without effect."""

import ast
import dataclasses
import inspect
import json
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import GenerationConfig
from transformers.configuration_utils import PreTrainedConfig

from family_models import SIZES
from ossc.compiler.families import family_names, find_family
from ossc.compiler.families.fields.config_fields import (
    MUST_BE_ABSENT,
    OF_GENERATION,
    ONE_VALUE,
    WITHOUT_EFFECT,
)
from ossc.compiler.families.source_model import read_config_json, read_model_config
from ossc.targets.errors import ConfigError
from synthetic import SyntheticShape, make_checkpoint

FAMILIES = family_names()

OF_THE_CLASS = {"_post_init_done", "ignore_keys_at_rope_validation"}
"""What a class keeps for itself; no rotation or logit follows from it."""

TOKEN_IDS = torch.arange(24)[None] * 7 % 60


def class_of(family: str) -> type[PreTrainedConfig]:
    """The configuration class of a family's reference."""
    return type(transformers.AutoConfig.for_model(family))


def sizes_of(family: str) -> dict[str, Any]:
    """The fields of a tiny model of a family, with a window that is felt."""
    if family == "gpt_oss":
        shape = SyntheticShape(vocab_size=64, sliding_window=5, max_position_embeddings=256)
        known = find_family(family).fields.followed
        return {name: v for name, v in vars(shape).items() if name in known and v is not None}
    sizes = SIZES | {"vocab_size": 64, "head_dim": 16}
    return sizes if family == "llama" else sizes | {"sliding_window": 5}


def config_of(family: str, **changes: Any) -> PreTrainedConfig:
    """A tiny model's config with fields of config.json replaced."""
    return class_of(family)(**(sizes_of(family) | changes))


def write_config(family: str, folder: Path) -> dict[str, Any]:
    """Write a config.json as a checkpoint of a family has it; returns its fields."""
    if family == "gpt_oss":
        make_checkpoint(folder, sparse=True, generation_config=False)
    else:
        fields = sizes_of(family) | {"model_type": family, "rope_theta": 10000.0}
        if family == "ministral3":
            fields |= {"rope_scaling": ROPES[family]}
        (folder / "config.json").write_text(json.dumps(fields))
    fields: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return fields


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}

ROPES: Mapping[str, dict[str, Any]] = {"ministral3": YARN | {"llama_4_scaling_beta": 0.1}}
"""Parameters of the rotation that a family cannot be without."""


def model_of(config: PreTrainedConfig) -> Any:
    model = transformers.AutoModelForCausalLM.from_config(
        config, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager"
    )
    return model.eval()


def logits_of(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(TOKEN_IDS, use_cache=False, output_attentions=False).logits


@pytest.fixture(scope="module")
def references() -> Callable[[str], tuple[dict[str, torch.Tensor], torch.Tensor]]:
    """Weights of a family's tiny model, large enough for every rule to be seen, and its logits."""
    made: dict[str, tuple[dict[str, torch.Tensor], torch.Tensor]] = {}

    def reference(family: str) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        if family not in made:
            torch.manual_seed(0)
            model = model_of(config_of(family, initializer_range=0.3))
            made[family] = model.state_dict(), logits_of(model)
        return made[family]

    return reference


def fields_read(family: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Let the reference save, load and run a model; return the attributes that it asks for."""
    read: set[str] = set()
    of_family = class_of(family)

    def record(config: PreTrainedConfig, name: str) -> Any:
        read.add(name)
        return PreTrainedConfig.__getattribute__(config, name)

    monkeypatch.setattr(of_family, "__getattribute__", record, raising=False)
    model_of(config_of(family)).save_pretrained(folder)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    model.generate(TOKEN_IDS, max_new_tokens=2, do_sample=False)
    logits_of(model)
    monkeypatch.undo()
    methods = {name for name in read if callable(getattr(of_family, name, None))}
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
@pytest.mark.parametrize("family", FAMILIES)
def test_every_field_that_transformers_reads_is_known(tmp_path, monkeypatch, family):
    of_family, fields = class_of(family), find_family(family).fields
    read = fields_read(family, tmp_path, monkeypatch)
    assert {"hidden_size", "is_causal", "per_layer_config", "rope_parameters"} <= read
    read |= {field.name for field in dataclasses.fields(of_family)}
    read |= of_family.attribute_map.keys()
    read |= GenerationConfig._get_default_generation_params().keys()
    for function in (
        of_family.__post_init__,
        PreTrainedConfig.__post_init__,
        PreTrainedConfig.convert_rope_params_to_dict,
    ):
        read |= names_taken(function, "kwargs")
    known = fields.followed | fields.without_effect | WITHOUT_EFFECT
    known |= MUST_BE_ABSENT | fields.must_be_absent | ONE_VALUE.keys()
    assert sorted(read - known - OF_THE_CLASS) == []


@pytest.mark.parametrize("family", FAMILIES)
def test_the_defaults_are_those_of_the_class(family):
    defaults = find_family(family).fields.defaults
    fields = {field.name: field.default for field in dataclasses.fields(class_of(family))}
    assert {name: fields[name] for name in defaults} == defaults


CHANGED = {
    "eos_token_id": 5,
    "experts_per_token": 3,
    "head_dim": 48,
    "hidden_act": "relu",
    "layer_types": ["full_attention", "full_attention"],
    "model_type": "bert",
    "num_experts": 5,
    "num_key_value_heads": 4,
    "num_local_experts": 7,
    "original_max_position_embeddings": 128,
    "partial_rotary_factor": 0.5,
    "quantization_config": None,
    "rope_parameters": {"rope_type": "default"},
    "rope_scaling": {"rope_type": "linear", "factor": 2.0},
    "sliding_window": 7,
}


def changed(name: str, value: Any) -> Any:
    """Another value of a field."""
    if name in CHANGED:
        return CHANGED[name]
    return not value if isinstance(value, bool) else value * 2


FOLLOWED = [
    pytest.param(family, name, id=f"{family}-{name}")
    for family in FAMILIES
    for name in sorted(find_family(family).fields.followed - {"quantization_config"})
]


@pytest.mark.parametrize(("family", "name"), FOLLOWED)
def test_a_field_that_is_obeyed_changes_the_model_or_is_refused(tmp_path, family, name):
    fields = dict(find_family(family).fields.defaults) | write_config(family, tmp_path)
    before = read_model_config(tmp_path)
    if name == "original_max_position_embeddings" and "rope_scaling" not in fields:
        fields["rope_scaling"] = YARN  # where the context of the pretraining means something
    if name in ("rope_parameters", "partial_rotary_factor", "rope_theta") and "rope_scaling" in (
        fields
    ):
        fields["rope_scaling"] = dict(fields["rope_scaling"], rope_theta=fields["rope_theta"])
    fields[name] = changed(name, fields.get(name))
    (tmp_path / "config.json").write_text(json.dumps(fields))
    try:
        after = read_model_config(tmp_path)
    except ConfigError:
        return
    if name == "rope_parameters" and family not in ("gpt_oss", "ministral3"):
        fields[name] = {"rope_type": "linear", "factor": 2.0}
        (tmp_path / "config.json").write_text(json.dumps(fields))
        after = read_model_config(tmp_path)
    assert after != before
    assert not list(find_family(family).fields.unknown(read_config_json(tmp_path)))


REFUSED = [
    pytest.param(family, name, id=f"{family}-{name}")
    for family in FAMILIES
    for name in sorted(
        ONE_VALUE.keys() | MUST_BE_ABSENT | find_family(family).fields.must_be_absent
    )
]


@pytest.mark.parametrize(("family", "name"), REFUSED)
def test_a_field_that_makes_another_model_is_refused_in_one_sentence(tmp_path, family, name):
    fields = write_config(family, tmp_path)
    before = read_model_config(tmp_path)
    file = tmp_path / "config.json"
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
    "auto_map": {"AutoConfig": "other.Config"},
    "router_jitter_noise": 0.5,
}
"""Another value for a field without effect, where 3 is not one."""


def _without_effect() -> list[Any]:
    """Each family with each of its fields without effect, those of a generation all at once."""
    cases = []
    for family in FAMILIES:
        names = WITHOUT_EFFECT | find_family(family).fields.without_effect
        groups = [OF_GENERATION, *({name} for name in sorted(names - OF_GENERATION))]
        cases += [pytest.param(family, each, id=f"{family}-{min(each)}") for each in groups]
    return cases


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("family", "names"), _without_effect())
def test_a_field_without_effect_changes_neither_our_model_nor_a_logit(
    tmp_path, references, family, names
):
    fields = {name: VALUES.get(name, 3) for name in names}
    given = write_config(family, tmp_path)
    before = read_model_config(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(given | fields))
    assert read_model_config(tmp_path) == before
    assert not list(find_family(family).fields.unknown(read_config_json(tmp_path)))

    weights, logits = references(family)
    model = model_of(config_of(family, **fields))
    model.load_state_dict(weights)
    torch.testing.assert_close(logits_of(model), logits, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        ("gpt_oss", {"is_causal": False}),
        ("gpt_oss", {"swiglu_limit": 0.25}),
        ("gpt_oss", {"original_max_position_embeddings": 8}),
        ("gpt_oss", {"attribute_map": {"swiglu_limit": "initializer_range"}}),
        ("llama", {"hidden_act": "gelu"}),
        ("mistral", {"sliding_window": 7}),
        ("mixtral", {"num_experts_per_tok": 1}),
    ],
    ids=str,
)
def test_the_comparison_sees_a_field_with_an_effect(references, family, changes):
    weights, logits = references(family)
    model = model_of(config_of(family, **changes))
    model.load_state_dict(weights)
    assert (logits_of(model) - logits).abs().max() > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_a_field_that_nobody_knows_is_listed(tmp_path, family):
    fields = write_config(family, tmp_path) | {"router_scale": 2.0, "other": None}
    (tmp_path / "config.json").write_text(json.dumps(fields))
    assert list(find_family(family).fields.unknown(read_config_json(tmp_path))) == ["router_scale"]
