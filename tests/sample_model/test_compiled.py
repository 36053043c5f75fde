"""The sample model as a bundle: quantizing its dense matrices must not change what it says."""

from pathlib import Path

import pytest

from ossc.compiler.evaluate import Evaluation, evaluate
from ossc.compiler.pipeline import compile_model
from ossc.compiler.recipe import Recipe

HERE = Path(__file__).parent
CHARACTERS = 6000
"""Of the held-out text: some 1800 tokens, so that the test takes seconds."""


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    folder = tmp_path_factory.mktemp("sample")
    model = HERE / "checkpoint"
    bundle = compile_model(Recipe(model=model, context=512, out=folder / "bundle"))
    text = folder / "text.txt"
    held_out = (HERE / "held_out.txt").read_text(encoding="utf-8")
    text.write_text(held_out[:CHARACTERS], encoding="utf-8")
    return evaluate(bundle, text, against=model)


def test_perplexity_is_that_of_the_original(result):
    assert result.reference_perplexity is not None
    assert abs(result.perplexity / result.reference_perplexity - 1) < 0.01


def test_the_next_token_has_the_original_distribution(result):
    assert result.kl_mean <= 0.01
    assert result.kl_p99 <= 0.05
    assert result.top1_agreement >= 0.97
    assert result.cosine_median >= 0.999


def test_the_routers_choose_the_same_experts(result):
    assert len(result.router_agreement) == 4
    assert min(result.router_agreement) >= 0.98
