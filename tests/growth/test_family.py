"""docs/adding-a-family.md, followed: its family computes what transformers' class does."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from family_models import FamilyModel
from growth.page import every_step, followed
from ossc.compiler.backends.cpu.backend import BACKEND
from ossc.compiler.families import family_names
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.oracle.transformers_model import run_transformers
from ossc.compiler.order import Order
from ossc.compiler.pipeline import quantized_model
from ossc.compiler.quantization.plan import load_plan
from ossc.compiler.recipe import Recipe
from tolerances import BUNDLE_LOGITS

PAGE = "adding-a-family"
TOKENS = list(range(3, 15))

MODEL = FamilyModel(
    family="llama", fields={"mlp_bias": True, "attention_bias": False, "hidden_act": "gelu"}
)
"""Of another name the same thing; two layers."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    with warnings.catch_warnings(action="ignore"):
        return MODEL.make(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def exact(checkpoint):
    source = SourceModel.open(checkpoint)
    with warnings.catch_warnings(action="ignore"):
        return run_transformers(source.checkpoint, TOKENS, range(len(TOKENS))).logits


def use(checkpoint: Path, logits: np.ndarray) -> None:
    """Open the checkpoint as the toy's, compare its graph's logits, and lower it."""
    path = checkpoint / "config.json"
    written = path.read_text(encoding="utf-8")
    try:
        fields = json.loads(written)
        path.write_text(json.dumps({**fields, "model_type": "toy_dense"}))
        source = SourceModel.open(checkpoint)
        bound = BUNDLE_LOGITS * np.abs(logits).max()
        for model in (source.export(), quantized_model(source, load_plan("none"))):
            actual = reference_logits(model, TOKENS, tokens_a_run=5).logits
            np.testing.assert_allclose(actual, logits, rtol=0, atol=bound)
        options = Order.of(Recipe(model=checkpoint)).options(source.config)
        lowered = BACKEND.lower(quantized_model(source, load_plan("default")), options)
        assert lowered.plan.vocab_size == source.config.vocab_size
    finally:
        path.write_text(written)


def test_the_family_of_the_page_computes_what_transformers_computes(checkpoint, exact, tmp_path):
    with followed(PAGE, tmp_path):
        assert "toy_dense" in family_names()
        use(checkpoint, exact)
    assert "toy_dense" not in family_names()


@every_step(PAGE)
def test_without_one_of_the_steps_there_is_no_such_family(checkpoint, exact, tmp_path, step):
    with followed(PAGE, tmp_path, without=step), pytest.raises((NameError, AttributeError)):
        use(checkpoint, exact)
