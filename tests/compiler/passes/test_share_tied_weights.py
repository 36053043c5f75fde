"""A weight that a checkpoint holds once and a graph reads twice."""

import numpy as np
import pytest

from ossc.compiler.families.fields.tied_embeddings import NAMES
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.passes.quantize_weights import QuantizeWeights
from ossc.compiler.passes.share_tied_weights import ShareTiedWeights
from ossc.compiler.quantization.plan import load_plan
from synthetic import SyntheticShape, make_checkpoint

IDS = list(range(7))


def export(folder, tied=None):
    model = make_checkpoint(folder / "m", SyntheticShape(num_hidden_layers=1), tied=tied)
    return SourceModel.open(model).export()


def readers(model):
    """Return the initializers of embedding and head, and which operations read each."""
    return {
        value.name: sorted(node.op_type for node in value.consumers())
        for value in model.graph.initializers.values()
        if any(module in value.name for module in ("embed_tokens", "lm_head"))
    }


@pytest.mark.parametrize("tied", NAMES)
def test_it_becomes_one_initializer_and_the_logits_stay(tmp_path, tied):
    model = export(tmp_path, tied)
    expected = reference_logits(model, IDS).logits
    assert len(readers(model)) == 2
    assert ShareTiedWeights()(model).modified
    assert list(readers(model).values()) == [["Embedding", "Linear"]]
    np.testing.assert_array_equal(reference_logits(model, IDS).logits, expected)
    assert not ShareTiedWeights()(model).modified


def test_weights_that_are_two_in_the_checkpoint_stay_two(tmp_path):
    model = export(tmp_path)
    assert not ShareTiedWeights()(model).modified
    assert list(readers(model).values()) == [["Embedding"], ["Linear"]]


def test_in_one_scheme_it_is_quantized_once(tmp_path):
    model = export(tmp_path, NAMES[1])
    ShareTiedWeights()(model)
    QuantizeWeights(load_plan("default"))(model)
    assert list(readers(model).values()) == [["Embedding", "Linear"]] * 2  # codes and scales


def test_in_two_schemes_it_is_quantized_twice(tmp_path):
    model = export(tmp_path, NAMES[1])
    ShareTiedWeights()(model)
    QuantizeWeights(load_plan("small"))(model)
    assert sorted(readers(model).values()) == [["Embedding"]] * 2 + [["Linear"]] * 2
