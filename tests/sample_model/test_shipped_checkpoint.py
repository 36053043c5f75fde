"""The checkpoint in the repository: its layout, its size, and the figures on its card."""

import json

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.quantization import mxfp4
from sample_model.evaluate import encode_text, measure
from sample_model.model import forward
from sample_model.save import CHECKPOINT, load, save_fine_tune, save_official

LARGEST_BYTES = 8_000_000
PERPLEXITY_TOLERANCE = 1e-3
"""Relative. Another machine sums in another order and may route a near tie differently."""

FIGURES = json.loads((CHECKPOINT / "figures.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def model():
    return load(CHECKPOINT)


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_file(str(CHECKPOINT / "tokenizer.json"))


def test_the_toolkit_accepts_the_layout_as_official_gpt_oss():
    source = SourceModel.open(CHECKPOINT)
    assert source.quantized_forms(source.weights) == {"mxfp4"}
    assert source.quant_method == "mxfp4"
    assert set(source.config.layer_types) == {"sliding_attention", "full_attention"}


def test_all_files_together_are_small_enough_for_the_repository():
    assert sum(file.stat().st_size for file in CHECKPOINT.iterdir()) <= LARGEST_BYTES


def test_the_fast_forward_agrees_with_transformers_on_the_shipped_weights(model, tokenizer):
    input_ids = torch.from_numpy(encode_text(tokenizer)[:256])[None]
    with torch.no_grad():
        wanted, got = model(input_ids).logits, forward(model, input_ids)[0]
    assert (got - wanted).abs().max() < 1e-3


def test_the_perplexity_on_the_shipped_text_is_the_one_on_the_card(model, tokenizer):
    measured = measure(model, encode_text(tokenizer))
    recorded = FIGURES["held_out_text"]
    assert measured["tokens"] == recorded["tokens"]
    assert measured["perplexity"] == pytest.approx(recorded["perplexity"], rel=PERPLEXITY_TOLERANCE)
    for ours, theirs in zip(measured["layers"], recorded["layers"], strict=True):
        assert np.allclose(ours["expert_use"], theirs["expert_use"], atol=0.01)


def test_the_card_shows_the_recorded_figures():
    card = (CHECKPOINT / "README.md").read_text(encoding="utf-8")
    for figures in (FIGURES["held_out"], FIGURES["held_out_text"]):
        assert f"{figures['perplexity']:.2f}" in card
    for name in ("unigram", "trigram"):
        assert f"{FIGURES['baselines'][name]:.1f}" in card


def test_the_model_beats_the_baselines_by_the_margins_it_was_made_for():
    perplexity, baselines = FIGURES["held_out"]["perplexity"], FIGURES["baselines"]
    assert perplexity * 10 <= baselines["unigram"]
    assert perplexity < baselines["trigram"]


def test_experts_specialize_and_none_takes_everything():
    layers = FIGURES["held_out"]["layers"]
    assert all(layer["under_half"] >= 2 for layer in layers)
    assert all(layer["over_twice"] >= 2 for layer in layers)
    assert all(layer["entropy_of_uniform"] >= 0.7 for layer in layers)


def test_both_layouts_hold_the_same_model(model, tokenizer, tmp_path):
    save_fine_tune(model, tokenizer, tmp_path / "fine-tune")
    save_official(load(tmp_path / "fine-tune"), tokenizer, tmp_path / "again")
    fine_tune = SourceModel.open(tmp_path / "fine-tune")
    assert fine_tune.quantized_forms(fine_tune.weights) == set()
    shipped, again = Checkpoint.open(CHECKPOINT), Checkpoint.open(tmp_path / "again")
    for name in shipped.tensors:
        if not name.endswith(("_blocks", "_scales")):
            assert np.array_equal(shipped.tensor(name), again.tensor(name)), name
        elif name.endswith("_blocks"):
            scales = name.replace("_blocks", "_scales")
            wanted = mxfp4.dequantize(shipped.tensor(name), shipped.tensor(scales))
            got = mxfp4.dequantize(again.tensor(name), again.tensor(scales))
            assert np.array_equal(got, wanted), name


def test_special_tokens_are_single_ids_and_text_survives_the_tokenizer(tokenizer):
    text = "<|start|>user<|message|>é ∑\n\tif x:\r\n        pass  # ok\n<|end|>"
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert ids[0] == tokenizer.token_to_id("<|start|>")
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
