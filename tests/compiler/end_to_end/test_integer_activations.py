"""Bundles with integer activations against onnxruntime on the quantized graph.

A bundle rounds what enters a product; the graph does not. So there are two references: the graph
as it is, and the graph with the rounding written into it, which is what the bundle computes but for
the order of float32 sums. Random weights make close choices: rounding can change a token's experts,
and attention brings that into the positions that follow. Both kinds are counted, and not judged.
"""

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from compiled import Build, Compiled
from integer_activations import round_activations
from model_shapes import BF16_SHAPES, MXFP4_SHAPES
from ossc.compiler.export.reference import ReferenceOutputs, ReferenceSession
from ossc.compiler.quantization.plan import load_plan
from ossc.compiler.verify import MIN_COSINE, Comparison, compare
from tolerances import BUNDLE_LOGITS, INT8X2_LOGITS, ROUNDING_RATIO, SAME_CODES

PROMPTS, PROMPT_TOKENS = 24, 12
"""Short prompts, because a changed choice takes all positions after it out of the comparison."""

BUILDS = [
    *(
        pytest.param(Build(shape=MXFP4_SHAPES[name], quant="default"), id=f"default-{name}")
        for name in ("default", "33-experts-top-3", "as-many-kv-heads", "odd-sizes", "window-150")
    ),
    *(pytest.param(Build(quant=quant), id=quant) for quant in ("int8-g32", "bf16")),
    pytest.param(Build(experts="bf16", quant="default"), id="default-of-bf16"),
    pytest.param(
        Build(shape=BF16_SHAPES["no-multiple-of-32"], experts="bf16", quant="int8-g32"),
        id="int8-g32-of-bf16-no-multiple-of-32",
    ),
]

ONE_TERM = Build(quant='activations = "int8"')


def prompts(model: Compiled) -> list[list[int]]:
    shape = (PROMPTS, PROMPT_TOKENS)
    random = np.random.default_rng(5)
    return random.integers(0, model.build.shape.vocab_size, shape).tolist()


def run_bundle(model: Compiled) -> list[ReferenceOutputs]:
    outputs = []
    with model.session() as session:
        for prompt in prompts(model):
            session.reset()
            logits = session.prefill(prompt, all_logits=True)
            routing = session.router_indices()
            outputs.append(ReferenceOutputs(logits=logits, router_indices=routing))
    return outputs


def run_graph(graph: ir.Model, model: Compiled) -> list[ReferenceOutputs]:
    session = ReferenceSession(graph)
    outputs = []
    for prompt in prompts(model):
        session.reset()
        outputs.append(session.run(prompt))
    return outputs


def run_rounded_graph(model: Compiled) -> list[ReferenceOutputs]:
    activations = load_plan(model.quant).activations
    return run_graph(round_activations(model.quantized(), activations), model)


def comparisons(
    ours: Sequence[ReferenceOutputs], theirs: Sequence[ReferenceOutputs]
) -> list[Comparison]:
    return [
        compare(our.logits, our.router_indices, their, "int8")
        for our, their in zip(ours, theirs, strict=True)
    ]


def judged(results: Sequence[Comparison], name: str) -> NDArray[np.float64]:
    """Return a figure of all judged positions of all prompts."""
    return np.concatenate([getattr(result, name)[result.judged] for result in results])


def root_mean_square_error(results: Sequence[Comparison]) -> float:
    """Return the error relative to the logits; where small, it is the angle of the cosine."""
    return float(np.sqrt(np.mean(2 * (1 - judged(results, "cosine")))))


@pytest.mark.parametrize("build", BUILDS)
def test_every_position_has_the_logits_of_onnxruntime(compiled, build, record_property):
    model = compiled(build)
    results = comparisons(run_bundle(model), run_graph(model.quantized(), model))
    cosine = judged(results, "cosine")
    record_property("rerouted", int(sum(result.rerouted for result in results)))
    record_property("following", int(sum(result.following for result in results)))
    record_property("judged", int(cosine.size))
    record_property("worst cosine", float(cosine.min()))
    assert cosine.size >= PROMPTS * PROMPT_TOKENS // 2
    assert cosine.min() >= MIN_COSINE
    assert judged(results, "relative_difference").max() <= INT8X2_LOGITS


@pytest.mark.parametrize("build", [*BUILDS, pytest.param(ONE_TERM, id="int8")])
def test_rounding_is_all_that_integer_activations_cost(compiled, build):
    model = compiled(build)
    exact = run_graph(model.quantized(), model)
    ours = comparisons(run_bundle(model), exact)
    rounding = comparisons(run_rounded_graph(model), exact)
    assert root_mean_square_error(ours) <= ROUNDING_RATIO * root_mean_square_error(rounding)


def test_with_one_int8_term_the_logits_are_those_of_the_same_rounding(compiled):
    model = compiled(ONE_TERM)
    results = comparisons(run_bundle(model), run_rounded_graph(model))
    assert np.mean(judged(results, "relative_difference") <= BUNDLE_LOGITS) >= SAME_CODES
    assert judged(results, "cosine").min() >= MIN_COSINE


def test_experts_that_are_stored_in_mxfp4_stay_as_they_are(compiled):
    default, mxfp4 = (compiled(Build(quant=quant)) for quant in ("default", "mxfp4"))
    assert mxfp4.weights.read_bytes() == default.weights.read_bytes()
