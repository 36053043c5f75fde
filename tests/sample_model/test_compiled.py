"""The sample model as a bundle: what quantizing its dense matrices does to what it says."""

from pathlib import Path

import pytest

from ossc.compiler.backends.cpu.backend import CpuBackend
from ossc.compiler.evaluate import Evaluation, evaluate
from ossc.compiler.pipeline import compile_model
from ossc.compiler.recipe import Recipe

HERE = Path(__file__).parent
MODEL = HERE / "checkpoint"
HELD_OUT = HERE / "held_out.txt"

CHARACTERS = 6000
"""Of the held-out text beside the original: some 1800 tokens, so that the test takes seconds."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, backend_of_all_caches: CpuBackend) -> Path:
    """The bundle of the preset ``default``."""
    out = tmp_path_factory.mktemp("default") / "bundle"
    recipe = Recipe(model=MODEL, context=512, instruction_sets=(), out=out)
    return compile_model(recipe, backend=backend_of_all_caches)


@pytest.fixture(scope="module")
def result(bundle: Path) -> Evaluation:
    """How far it is from the original."""
    text = bundle.parent / "text.txt"
    text.write_text(HELD_OUT.read_text(encoding="utf-8")[:CHARACTERS], encoding="utf-8")
    return evaluate(bundle, text, against=MODEL)


@pytest.fixture(scope="module")
def perplexity(bundle: Path) -> float:
    """Of the whole held-out text, with caches in float32."""
    return evaluate(bundle, HELD_OUT, kv="f32").perplexity


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


def test_dense_matrices_and_head_in_four_bits_cost_less_than_3_percent_of_perplexity(
    perplexity, tmp_path, backend, record_property
):
    recipe = Recipe(
        model=MODEL, quant="small", context=512, instruction_sets=(), out=tmp_path / "bundle"
    )
    small = compile_model(recipe, backend=backend)
    cost = evaluate(small, HELD_OUT).perplexity / perplexity - 1
    record_property("cost in perplexity", cost)
    assert 0.01 < cost < 0.03  # measured: 0.020


@pytest.mark.parametrize(("kv", "most"), [("f16", 0.001), ("int8", 0.005)])
def test_shorter_kv_caches_keep_the_perplexity(bundle, perplexity, kv, most, record_property):
    cost = evaluate(bundle, HELD_OUT, kv=kv).perplexity / perplexity - 1
    record_property("cost in perplexity", cost)
    assert abs(cost) < most  # measured: 0.00001 for f16, 0.00012 for int8
