"""Tensors that every decoder takes or passes over."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from family_models import FamilyModel
from ossc.compiler.families.source_model import SourceModel
from ossc.targets.errors import CheckpointError


@pytest.mark.parametrize("family", ["llama", "mistral", "mixtral"])
def test_the_frequencies_that_old_checkpoints_hold_are_passed_over(tmp_path, family):
    fields = {"num_local_experts": 2} if family == "mixtral" else {}
    file = FamilyModel(family=family, fields=fields).make(tmp_path) / "model.safetensors"
    tensors = load_file(file)
    buffers = {
        f"model.layers.{layer}.self_attn.rotary_emb.inv_freq": torch.zeros(8) for layer in range(2)
    }
    save_file(tensors | buffers | {"model.rotary_emb.inv_freq": torch.zeros(8)}, file)
    names = SourceModel.open(tmp_path).weights
    assert not any("inv_freq" in name for name in names)


def test_a_buffer_of_a_layer_that_is_not_there_is_refused(tmp_path):
    file = FamilyModel(family="llama").make(tmp_path) / "model.safetensors"
    name = "model.layers.2.self_attn.rotary_emb.inv_freq"
    save_file(load_file(file) | {name: torch.zeros(8)}, file)
    with pytest.raises(CheckpointError, match=rf"tensor '{name}' has no place"):
        SourceModel.open(tmp_path).export()


def test_a_missing_head_names_the_field_that_would_make_it_the_embedding(tmp_path):
    file = FamilyModel(family="llama").make(tmp_path) / "model.safetensors"
    tensors = load_file(file)
    del tensors["lm_head.weight"]
    save_file(tensors, file)
    with pytest.raises(CheckpointError, match="does not have tie_word_embeddings true"):
        SourceModel.open(tmp_path).export()
