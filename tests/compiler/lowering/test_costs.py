"""Bytes and operations of gpt-oss-20b's kernels, against a count from its shape alone."""

import pytest

from gpt_oss_20b import SHAPE, lower_two_layers
from ossc.compiler.lowering.lower import LoweredModel
from ossc.runtimes.plan import Segment
from synthetic import GPT_OSS_20B

LAYERS = GPT_OSS_20B.num_hidden_layers
WIDTH = SHAPE.hidden_size
HEADS, KV_HEADS, HEAD_DIM = 64, 8, 64

EXPERT_WEIGHTS = 3 * WIDTH * SHAPE.intermediate_size
DENSE_WEIGHTS = WIDTH * (HEADS + 2 * KV_HEADS) * HEAD_DIM + HEADS * HEAD_DIM * WIDTH
HEAD_WEIGHTS = SHAPE.vocab_size * WIDTH
ROUTER_WEIGHTS = SHAPE.num_local_experts * WIDTH

MXFP4_BYTES, INT8_BYTES, BF16_BYTES = 17 / 32, 34 / 32, 2


@pytest.fixture(scope="module")
def lowered(tmp_path_factory: pytest.TempPathFactory) -> LoweredModel:
    return lower_two_layers(tmp_path_factory.mktemp("model"))


def total(lowered, segment: Segment, amount, tokens=1, position=0, **kinds):
    """Sum up an amount of the steps whose cost has the given fields."""
    steps = [(step, lowered.costs[step.kernel]) for step in segment.steps]
    return sum(
        amount(cost, cost.call(tokens, position))
        for _, cost in steps
        if all(getattr(cost, name) == value for name, value in kinds.items())
    )


def moved(cost, call):
    return cost.bytes.of(call)


def streamed(cost, call):
    return cost.bytes.streamed(call)


def operations(cost, call):
    return cost.operations.of(call)


def test_a_decoded_token_of_the_20b_shape_moves_2_58_gigabytes(lowered):
    decode, head = (lowered.plan.segment(name, 1) for name in ("decode", "head"))
    body = LAYERS / 2 * total(lowered, decode, moved)  # all layers are like these two
    assert (body + total(lowered, head, moved)) / 1e9 == pytest.approx(2.58, abs=0.005)


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        pytest.param({"experts": 32}, 4 * EXPERT_WEIGHTS * MXFP4_BYTES, id="experts"),
        pytest.param(
            {"operation": "linear", "scheme": "int8-g32"}, DENSE_WEIGHTS * INT8_BYTES, id="dense"
        ),
        pytest.param({"scheme": "bf16"}, ROUTER_WEIGHTS * BF16_BYTES, id="router"),
    ],
)
def test_each_layer_reads_its_weights_once(lowered, kinds, expected):
    read = total(lowered, lowered.plan.segment("decode"), streamed, **kinds) / 2
    assert expected <= read < 1.004 * expected  # biases


def test_the_head_reads_its_weights_once(lowered):
    read = total(lowered, lowered.plan.segment("head", 1), streamed, operation="linear")
    assert read == HEAD_WEIGHTS * INT8_BYTES


def test_the_facts_of_the_plan_are_those_of_the_layers(lowered):
    experts, dense = 4 * EXPERT_WEIGHTS * MXFP4_BYTES * LAYERS, DENSE_WEIGHTS * INT8_BYTES * LAYERS
    assert round(experts / 1e6) == 1269
    assert round(dense / 1e6) == 677
    assert round(HEAD_WEIGHTS * INT8_BYTES / 1e6) == 615


def test_a_chunk_reads_every_expert_that_some_token_chose(lowered):
    prefill = lowered.plan.segment("prefill")
    read = total(lowered, prefill, streamed, tokens=128, experts=32) / 2
    distinct = 32 * (1 - (28 / 32) ** 128)
    expected = distinct * EXPERT_WEIGHTS * MXFP4_BYTES
    assert expected <= read < 1.01 * expected


@pytest.mark.parametrize("tokens", [1, 128])
def test_operations_are_two_for_each_weight_that_a_token_meets(lowered, tokens):
    segment = lowered.plan.segment("decode" if tokens == 1 else "prefill")
    done = sum(
        total(lowered, segment, operations, tokens=tokens, operation=operation)
        for operation in ("linear", "expert_linear", "expert_swiglu")
    )
    assert done == 2 * tokens * 2 * (4 * EXPERT_WEIGHTS + DENSE_WEIGHTS + ROUTER_WEIGHTS)


@pytest.mark.parametrize(
    ("position", "seen"),
    [
        pytest.param(0, 1 + 1, id="first"),
        pytest.param(999, 1000 + 128, id="beyond-the-window"),
    ],
)
@pytest.mark.parametrize(("kv", "key_bytes"), [("f32", 4), ("f16", 2), ("int8", 1 + 4 / 32)])
def test_attention_reads_the_keys_and_values_that_a_token_sees(
    lowered, kv, key_bytes, position, seen
):
    segment = lowered.plans[kv].segment("decode")
    kinds = {"operation": "sink_attention", "scheme": kv}
    queries = 2 * 3 * HEADS * HEAD_DIM  # at least two multiply-accumulates for each key and column
    done = total(lowered, segment, operations, position=position, **kinds)
    assert done == seen * 4 * HEADS * HEAD_DIM
    read = total(lowered, segment, streamed, position=position, **kinds)
    cache = seen * 2 * KV_HEADS * HEAD_DIM * key_bytes
    assert cache <= read < 1.2 * cache + queries
