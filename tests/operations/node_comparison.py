"""Compares a node that a device computes with its reference."""

from collections.abc import Iterable

import numpy as np

from operations.case import Arrays, Case
from operations.conformance import TOKENS, assert_close, expected
from operations.reference import rounded
from operations.segment_runner import TARGET, Device, NodeRunner
from ossc.compiler.backends.cpu.weights import find_format
from ossc.compiler.lowering.segment import LoweringOptions
from ossc.compiler.quantization.plan import Activations
from ossc.runtimes.kv_type import KvType
from tolerances import ATTENTION, PRODUCT

CONTEXT, CHUNK = 100, 8
"""Positions of full caches, and the largest chunk."""


def options(activations: Activations = "f32", kv: KvType = "f32") -> LoweringOptions:
    """Return what a node is lowered for."""
    return LoweringOptions(
        target=TARGET, activations=activations, context=CONTEXT, prefill_chunk=CHUNK, kv=kv
    )


def node_runner(case: Case, options: LoweringOptions, device: Device | None = None) -> NodeRunner:
    """Lower the node of a case.

    Raises:
        LoweringError: It has no lowering.
    """
    (node,) = case.model(case.inputs(1)).graph
    return NodeRunner(node, options, device)


def compare(case: Case, activations: Activations = "f32", device: Device | None = None) -> None:
    """Compare all outputs of a node without state, for one token and for several.

    Args:
        case: What is computed.
        activations: The type in which they meet codes.
        device: What computes it; by default this CPU.

    Raises:
        LoweringError: It has no lowering.
        AssertionError: It computes something else.
    """
    runner = node_runner(case, options(activations), device)
    for tokens in TOKENS:
        inputs = case.inputs(tokens)
        results = runner.run(_as_int32(inputs), tokens)
        assert results.keys() == {name for name, _ in case.definition.outputs}
        assert_close(results, _expected(case, inputs, activations), PRODUCT)


def _expected(case: Case, inputs: Arrays, activations: Activations) -> Arrays:
    """Return what integer activations give; experts that are floats meet them as they are."""
    if activations == "f32":
        return expected(case, inputs)
    results = expected(case, {**inputs, "x": rounded(inputs["x"], activations)})
    if not case.division:
        return results
    floats = np.array([not find_format(scheme).integer_sums for scheme in case.division])
    of_floats = floats[inputs["indices"]][..., None]
    return {"y": np.where(of_floats, expected(case, inputs)["y"], results["y"])}


def compare_over_cache(
    case: Case, options: LoweringOptions, steps: Iterable[int], device: Device | None = None
) -> None:
    """Compare attention call after call, each with the cache that those before it left.

    Args:
        case: What is computed, with as much in the cache as it says before the first step.
        options: What for; its type of caches says how close the results have to be.
        steps: Tokens of each call.
        device: What computes it; by default this CPU.

    Raises:
        LoweringError: It has no lowering.
        AssertionError: It computes something else.
    """
    runner = node_runner(case, options, device)
    cached = {name: array for name, array in case.inputs(1, past=0).items() if "past" in name}
    past, chunk = 0, options.prefill_chunk
    filling = [min(chunk, case.past - begin) for begin in range(0, case.past, chunk)]
    for tokens in (*filling, *steps):
        inputs = {**case.inputs(tokens, past), **cached}
        exact = expected(case, inputs)
        assert_close(runner.run(inputs, tokens), exact, ATTENTION[options.kv])
        cached = {f"past_{each}": exact[f"present_{each}"] for each in ("key", "value")}
        past += tokens


def _as_int32(inputs: Arrays) -> Arrays:
    """Return the inputs with chosen experts in the type in which our router gives them."""
    return {
        name: array.astype(np.int32) if name == "indices" else array
        for name, array in inputs.items()
    }
