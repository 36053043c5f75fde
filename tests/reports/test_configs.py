"""Configs as trainers and releases write them: obeyed as transformers obeys them, or refused."""

import json

import numpy as np
import transformers
from safetensors.numpy import load_file

from ossc.compiler import compile_model
from ossc.compiler.families.source_model import SourceModel
from ossc.runtimes.manifest import Manifest
from reports.edits import WEIGHTS, edit_json, edit_tensors, logits
from synthetic import SyntheticShape, make_checkpoint


def test_tied_embeddings_need_no_head_of_their_own(tmp_path):
    folder = make_checkpoint(tmp_path)
    table = load_file(folder / WEIGHTS)["model.embed_tokens.weight"]
    edit_tensors(folder, lambda name, values: table if name == "lm_head.weight" else values)
    expected = logits(folder)
    edit_tensors(folder, lambda name, values: None if name == "lm_head.weight" else values)
    edit_json(folder / "config.json", tie_word_embeddings=True)
    np.testing.assert_allclose(logits(folder), expected, rtol=0, atol=1e-5)


def test_a_head_that_is_missing_is_not_made_up(refusal, tmp_path):
    folder = make_checkpoint(tmp_path)
    edit_tensors(folder, lambda name, values: None if name == "lm_head.weight" else values)
    assert "lm_head.weight" in refusal("compile", folder, "--dry-run")


def test_a_quantization_that_the_tensors_do_not_have_is_a_note(ossc, tmp_path):
    folder = make_checkpoint(tmp_path, experts="bf16")
    edit_json(folder / "config.json", quantization_config={"quant_method": "mxfp4"})
    result = ossc("compile", folder, "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert "quantization_config" in result.stderr


def test_no_stop_token_in_the_configs_is_not_none_at_all(recipe, without_code_generation, tmp_path):
    shape = SyntheticShape()
    folder = make_checkpoint(tmp_path / "model", shape, tokenizer=True, generation_config=False)
    edit_json(folder / "config.json", eos_token_id=None)
    compiled_bundle = compile_model(recipe(folder, tmp_path / "bundle"))
    stops = Manifest.read(compiled_bundle).stop_token_ids
    assert set(stops) == set(shape.stop_token_ids())


def test_every_stop_token_of_a_list_ends_an_answer(ossc, bundle, answer):
    answer("one two<|call|>three")
    result = ossc("run", bundle, "-p", "hello", "--format", "json")
    assert json.loads(result.stdout)["text"] == "one two"


def test_rope_theta_in_either_form_is_the_same_model(tmp_path):
    older = make_checkpoint(tmp_path / "4", config_form=4)
    newer = make_checkpoint(tmp_path / "5", config_form=5)
    np.testing.assert_array_equal(logits(newer), logits(older))
    rope = json.loads((newer / "config.json").read_text())["rope_parameters"]
    edit_json(newer / "config.json", rope_parameters=rope | {"rope_theta": 10000.0})
    assert np.abs(logits(newer) - logits(older)).max() > 0.01


def test_two_rotations_that_contradict_are_not_chosen_from_silently(ossc, tmp_path):
    folder = make_checkpoint(tmp_path, config_form=5)
    given = json.loads((folder / "config.json").read_text())["rope_parameters"]
    scaling = given | {"factor": 4.0}
    edit_json(folder / "config.json", rope_scaling=scaling)
    result = ossc("compile", folder, "--dry-run")
    if result.exit_code:
        assert "rope_scaling" in result.stderr
        return
    taken = transformers.AutoConfig.from_pretrained(folder).rope_parameters["factor"]
    assert SourceModel.open(folder).config.rope_parameters.factor == taken


def test_a_bundle_is_held_against_what_is_not_ours(ossc, plain_bundle, model):
    result = ossc("verify", plain_bundle, "--against", model, "--oracle", "transformers")
    assert result.exit_code == 0, result.output
    assert result.stdout.count("It holds.") == 2


def test_a_limit_that_older_configs_do_not_give_is_that_of_their_class(tmp_path):
    folder = make_checkpoint(tmp_path)
    expected = logits(folder)
    edit_json(folder / "config.json", remove=("swiglu_limit",))
    np.testing.assert_array_equal(logits(folder), expected)
