"""How many experts a Mixtral has, and how they have to be stored."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from family_models import SIZES, FamilyModel
from ossc.compiler.families.source_model import SourceModel, read_model_config
from ossc.targets.errors import CheckpointError, ConfigError

EXPERT = "model.layers.0.block_sparse_moe.experts.5.w3.weight"


def config_file(folder: Path, **fields: Any) -> Path:
    sizes = SIZES | {"model_type": "mixtral"}
    (folder / "config.json").write_text(json.dumps(sizes | fields))
    return folder


@pytest.mark.parametrize(
    ("fields", "experts"),
    [
        pytest.param({}, 8, id="absent"),
        pytest.param({"num_local_experts": 5}, 5, id="num_local_experts"),
        pytest.param({"num_experts": 5}, 5, id="num_experts"),
        pytest.param({"num_experts": 5, "num_local_experts": 5}, 5, id="both"),
    ],
)
def test_the_experts_are_counted_under_either_name(tmp_path, fields, experts):
    assert read_model_config(config_file(tmp_path, **fields)).num_local_experts == experts


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        pytest.param(
            {"num_experts": 5, "num_local_experts": 8},
            "'num_local_experts' 8 differs from 'num_experts' 5",
            id="two-counts",
        ),
        pytest.param({"num_local_experts": None}, "lacks 'num_local_experts'", id="null"),
        pytest.param({"num_experts_per_tok": 9}, "chooses 9 experts for a token", id="too-many"),
    ],
)
def test_a_count_that_cannot_be_is_refused(tmp_path, fields, sentence):
    with pytest.raises(ConfigError, match=sentence):
        read_model_config(config_file(tmp_path, **fields))


@pytest.mark.parametrize(
    ("stored", "sentence"),
    [
        pytest.param(None, rf"has no tensor '{EXPERT}'", id="missing"),
        pytest.param(
            torch.zeros(96, 64), rf"w3.weight is stored as bf16 and {EXPERT} as f32", id="dtype"
        ),
        pytest.param(
            torch.zeros(64, 96, dtype=torch.bfloat16),
            rf"'{EXPERT}' has the shape \[64, 96\], but config.json asks for \[96, 64\]",
            id="transposed",
        ),
    ],
)
def test_one_expert_that_is_not_as_the_others_is_named(tmp_path, stored, sentence):
    file = FamilyModel(family="mixtral").make(tmp_path) / "model.safetensors"
    tensors = load_file(file)
    tensors.pop(EXPERT)
    save_file(tensors | ({} if stored is None else {EXPERT: stored}), file)
    with pytest.raises(CheckpointError, match=sentence):
        SourceModel.open(tmp_path).export()
