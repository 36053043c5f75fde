"""Bundles with integer activations against onnxruntime on the quantized graph.

A bundle rounds what enters a product; the graph does not. So there are two references: the graph
as it is, and the graph with the rounding written into it, which is what the bundle computes but for
the order of float32 sums. Random weights make close choices of experts, which rounding can decide:
both references follow the bundle's choices, and the test reports those that they would not make.
"""

import numpy as np
import pytest
from numpy.typing import NDArray

from compiled import Build, Compiled
from integer_activations import round_activations
from model_shapes import BF16_SHAPES, MXFP4_SHAPES
from ossc.compiler.oracle.reference import ReferenceOutputs, reference_logits
from ossc.compiler.passes.take_routing import TakeRouting
from ossc.compiler.quantization.plan import load_plan
from ossc.compiler.verify import Comparison, compare
from tolerances import BUNDLE_LOGITS, COSINE, INT8X2_LOGITS, ROUNDING_RATIO, SAME_CODES

N_TOKENS = 64

ALL_INT4 = """
schemes = { experts = "int4-g32", dense = "int4-g32", embedding = "int4-g32", head = "int4-g32" }
"""

BUILDS = [
    *(
        pytest.param(Build(shape=MXFP4_SHAPES[name], quant="default"), id=f"default-{name}")
        for name in ("default", "33-experts-top-3", "as-many-kv-heads", "odd-sizes", "window-150")
    ),
    *(
        pytest.param(Build(shape=MXFP4_SHAPES[name], quant="small"), id=f"small-{name}")
        for name in ("default",)
    ),
    *(pytest.param(Build(quant=quant), id=quant) for quant in ("int4-g32", "int8-g32", "bf16")),
    pytest.param(Build(experts="bf16", quant="default"), id="default-of-bf16"),
    pytest.param(
        Build(shape=BF16_SHAPES["no-multiple-of-32"], experts="bf16", quant="int8-g32"),
        id="int8-g32-of-bf16-no-multiple-of-32",
    ),
    pytest.param(
        Build(shape=BF16_SHAPES["no-multiple-of-32-but-even"], experts="bf16", quant=ALL_INT4),
        id="int4-g32-of-bf16-no-multiple-of-32",
    ),
]

ONE_TERM = Build(quant='activations = "int8"')


def run_bundle(model: Compiled) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return logits ``[n, vocab_size]`` and chosen experts ``[num_hidden_layers, n, k]``."""
    with model.session() as session:
        logits = session.prefill(model.token_ids(N_TOKENS), all_logits=True)
        return logits, session.router_indices()


def run_graph(
    model: Compiled, routing: NDArray[np.int32], *, rounding: bool = False
) -> ReferenceOutputs:
    graph = TakeRouting()(model.quantized()).model
    if rounding:
        round_activations(graph, load_plan(model.quant).activations)
    return reference_logits(graph, model.token_ids(N_TOKENS), chosen_experts=routing)


def root_mean_square_error(result: Comparison) -> float:
    """Return the error relative to the logits; where small, it is the angle of the cosine."""
    return float(np.sqrt(np.mean(2 * (1 - result.cosine))))


@pytest.mark.parametrize("build", BUILDS)
def test_every_position_has_the_logits_of_onnxruntime(compiled, build, record_property):
    model = compiled(build)
    logits, routing = run_bundle(model)
    result = compare(logits, routing, run_graph(model, routing), "int8x2")
    record_property("positions with other experts", int((~result.same_experts).sum()))
    record_property("smallest cosine", float(result.cosine.min()))
    assert result.holds
    assert result.cosine.min() >= COSINE
    assert result.relative_difference.max() <= INT8X2_LOGITS


@pytest.mark.parametrize("build", [*BUILDS, pytest.param(ONE_TERM, id="int8")])
def test_rounding_is_all_that_integer_activations_cost(compiled, build):
    model = compiled(build)
    logits, routing = run_bundle(model)
    exact = run_graph(model, routing)
    same_rounding = run_graph(model, routing, rounding=True)
    ours = compare(logits, routing, exact, "int8")
    theirs = compare(same_rounding.logits, routing, exact, "int8")
    assert root_mean_square_error(ours) <= ROUNDING_RATIO * root_mean_square_error(theirs)


def test_with_one_int8_term_the_logits_are_those_of_the_same_rounding(compiled):
    model = compiled(ONE_TERM)
    logits, routing = run_bundle(model)
    result = compare(logits, routing, run_graph(model, routing, rounding=True), "int8")
    assert np.mean(result.relative_difference <= BUNDLE_LOGITS) >= SAME_CODES
    assert result.cosine.min() >= COSINE


def test_experts_that_are_stored_in_mxfp4_stay_as_they_are(compiled):
    default, mxfp4 = (compiled(Build(quant=quant)) for quant in ("default", "mxfp4"))
    assert mxfp4.weights.read_bytes() == default.weights.read_bytes()
