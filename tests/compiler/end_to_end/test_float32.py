"""Bundles with float32 activations against transformers, over shapes of models."""

import numpy as np
import pytest

from compiled import Build, token_by_token
from model_shapes import BUNDLES
from ossc.compiler.oracle.reference import reference_logits as graph_logits
from tolerances import BUNDLE_LOGITS
from transformers_model import load_float32, reference_logits

PROMPT_TOKENS = 40
NEW_TOKENS = 64


def relative_difference(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return each position's largest difference over its largest logit."""
    return np.abs(actual - expected).max(axis=1) / np.abs(expected).max(axis=1)


@pytest.mark.parametrize(("shape", "experts"), BUNDLES)
def test_every_position_has_the_logits_of_transformers(compiled, shape, experts):
    model = compiled(Build(shape=shape, experts=experts))
    ids = model.token_ids()
    expected = reference_logits(load_float32(model.source), ids)
    with model.session() as session:
        prefill = session.prefill(ids, all_logits=True)
        session.reset()
        decode = token_by_token(session, ids)
    assert relative_difference(prefill, expected).max() <= BUNDLE_LOGITS
    assert relative_difference(decode, expected).max() <= BUNDLE_LOGITS


@pytest.mark.parametrize(("shape", "experts"), BUNDLES)
def test_greedy_tokens_are_those_of_transformers(compiled, shape, experts):
    model = compiled(Build(shape=shape, experts=experts))
    prompt = model.token_ids(PROMPT_TOKENS)
    with model.session() as session:
        tokens = list(session.generate(prompt, max_new_tokens=NEW_TOKENS))
    assert len(tokens) == NEW_TOKENS
    ids = [*prompt, *tokens[:-1]]
    logits = reference_logits(load_float32(model.source), ids)[PROMPT_TOKENS - 1 :]
    second, first = np.sort(logits, axis=1)[:, -2:].T
    clear = first - second > BUNDLE_LOGITS * np.abs(logits).max(axis=1)
    assert clear.sum() >= NEW_TOKENS - 2
    np.testing.assert_array_equal(logits.argmax(axis=1)[clear], np.array(tokens)[clear])


@pytest.mark.parametrize("dense", ["int8-g32", "int4-g32"])
def test_quantized_weights_with_float32_activations_have_the_logits_of_onnxruntime(compiled, dense):
    schemes = f'dense = "{dense}", embedding = "{dense}", head = "{dense}"'
    model = compiled(Build(quant=f'activations = "f32"\nschemes = {{ {schemes} }}'))
    ids = model.token_ids()
    expected = graph_logits(model.quantized(), ids).logits
    with model.session() as session:
        actual = session.prefill(ids, all_logits=True)
    assert relative_difference(actual, expected).max() <= BUNDLE_LOGITS
