"""Predictions for a hand-made plan, against figures worked out by hand, term by term."""

from dataclasses import replace

import pytest

from ossc.runtimes.kernel_cost import KernelCost, Work
from ossc.runtimes.manifest import HostEntry, TargetEntry
from ossc.runtimes.profile.prediction.efficiency import Efficiencies, Efficiency
from ossc.runtimes.profile.prediction.predict import TimeModel, predict
from ossc.runtimes.profile.roofline import Roofline
from ossc.targets.errors import BundleError, TargetError, UsageError
from synthetic.tiny_plan import make_manifest, make_plan

MEMORY_GB_PER_S, CACHE_GB_PER_S = 10.0, 80.0

ROOFLINE = Roofline(
    source="test",
    isa="avx2",
    threads=2,
    read_gb_per_s={1 << 20: CACHE_GB_PER_S, 1 << 24: MEMORY_GB_PER_S},
    f32_gflops=100.0,
    int8_gops=400.0,
    launch_ns=2000.0,
)

MB = 1_000_000


def cost(operation, arithmetic, moved, operations, **fields):
    return KernelCost(
        operation=operation,
        scheme=None,
        arithmetic=arithmetic,
        bytes=moved,
        operations=operations,
        **fields,
    )


COSTS = {
    # a task for each token
    "test_embedding": cost("embedding", "copy", Work(per_token=8000), Work()),
    # one task
    "test_router": cost("router_top_k", "copy", Work(per_token=4000), Work()),
    # a task for each token
    "test_store": cost(
        "expert_linear",
        "int8x2",
        Work(per_token=1000, per_expert=30 * MB),
        Work(per_token=50 * MB),
        experts=8,
        experts_per_tok=2,
    ),
    # 16 tasks
    "test_mean": cost(
        "sink_attention", "f32", Work(per_key=10_000), Work(per_pair=40_000), window=3
    ),
    # 40 tasks
    "test_head": cost("linear", "int8", Work(fixed=100 * MB, per_token=400), Work(per_token=MB)),
}


def shares(operation, arithmetic, memory=1.0, token=1.0, chunk=1.0):
    return Efficiency(
        operation=operation,
        scheme=None,
        arithmetic=arithmetic,
        memory=memory,
        token=token,
        chunk=chunk,
    )


EFFICIENCIES = Efficiencies(
    "test",
    [
        shares("embedding", "copy", memory=0.5),
        shares("router_top_k", "copy", memory=0.1),
        shares("expert_linear", "int8x2", memory=0.75, token=0.25, chunk=0.5),
        shares("sink_attention", "f32", memory=0.25, token=0.4, chunk=0.8),
        shares("linear", "int8", memory=0.8, token=0.5, chunk=0.9),
    ],
)


def model(costs=COSTS, roofline=ROOFLINE):
    return TimeModel(make_plan(), costs, roofline, EFFICIENCIES)


def times(phase):
    return {kernel.kernel: kernel for kernel in phase.kernels}


def test_each_term_of_a_decoded_token():
    decode = times(model().predict(prompt_tokens=1, depth=9).decode)
    launch = 0.002
    # Activations come from the cache; with one task of a token, one of two threads is idle.
    assert decode["test_embedding"].ms == pytest.approx(launch + 2 * (8000 / 80e6) / 0.5)
    assert decode["test_router"].ms == pytest.approx(launch + 2 * (4000 / 80e6) / 0.1)
    # Two experts from memory, and the activations.
    experts = decode["test_store"]
    assert experts.bytes == 60 * MB + 1000
    assert experts.memory_ms == pytest.approx(2 * (60 / 10 + 1000 / 80e6) / 0.75)
    # Two int8 products for each of the model's.
    assert experts.arithmetic_ms == pytest.approx(2 * (2 * 50 / 400) / 0.25)
    assert experts.ms == pytest.approx(launch + experts.memory_ms)
    # Three keys of ten are visible.
    attention = decode["test_mean"]
    assert attention.bytes == 3 * 10_000
    assert attention.operations == 3 * 40_000
    assert attention.memory_ms == pytest.approx(30_000 / 10e6 / 0.25)
    assert attention.arithmetic_ms == pytest.approx(0.12 / 100 / 0.4)
    assert attention.ms == pytest.approx(launch + attention.memory_ms)
    head = decode["test_head"]
    assert head.ms == pytest.approx(launch + (100 / 10 + 400 / 80e6) / 0.8)


def test_a_phase_is_the_sum_of_its_kernels_with_the_longest_first():
    prediction = model().predict(prompt_tokens=1, depth=9)
    decode = prediction.decode
    assert prediction.decode_ms == sum(kernel.ms for kernel in decode.kernels)
    assert decode.launches == 5
    assert decode.bytes == pytest.approx(8000 + 4000 + 60 * MB + 1000 + 30_000 + 100 * MB + 400)
    assert decode.operations == pytest.approx(51 * MB + 120_000)
    assert [kernel.kernel for kernel in decode.kernels][:2] == ["test_store", "test_head"]


def test_a_prompt_runs_in_chunks_and_the_head_once():
    prediction = model().predict(prompt_tokens=9, depth=0)
    prefill = times(prediction.prefill)
    # Chunks of 4 and 4, and a single token as in decode.
    assert prefill["test_embedding"].calls == 3
    assert prefill["test_head"].calls == 1
    assert prefill["test_embedding"].bytes == 9 * 8000
    distinct = 2 * 8 * (1 - 0.75**4) + 2
    assert prefill["test_store"].bytes == pytest.approx(9 * 1000 + distinct * 30 * MB)
    # A window of 3: 1 + 2 + 3 + 3 and then 3 each time.
    assert prefill["test_mean"].operations == (9 + 12 + 3) * 40_000
    # In each chunk 3 + 3 more, and 3 of the chunk before; the last token sees 3.
    assert prefill["test_mean"].bytes == (4 + 6 + 3) * 10_000
    assert prediction.prefill_tokens_per_s == pytest.approx(9000 / prediction.prefill.ms)


def test_a_prompt_of_whole_chunks_has_its_head_in_the_last_one():
    prefill = times(model().predict(prompt_tokens=8, depth=0).prefill)
    assert prefill["test_head"].calls == 1
    assert prefill["test_store"].calls == 2


def test_tokens_that_fill_tiles_are_computed_at_the_rate_of_a_chunk():
    slow = replace(ROOFLINE, int8_gops=0.4)
    costs = COSTS | {"test_store": replace(COSTS["test_store"], experts_per_tok=8)}
    prefill = times(model(costs, slow).predict(prompt_tokens=4, depth=0).prefill)
    # Four tokens meet each expert, of which one and a half are computed alone.
    ms_per_share = 2 * 4 * 50 / 0.4
    expected = ms_per_share * (1.5 / 4 / 0.25 + 2.5 / 4 / 0.5)
    assert prefill["test_store"].arithmetic_ms == pytest.approx(expected)


@pytest.mark.parametrize(
    ("tokens", "factor"),
    [
        pytest.param(2, 1, id="as-many-as-threads"),
        pytest.param(3, 4 / 3, id="one-more"),
        pytest.param(4, 1, id="two-each"),
    ],
)
def test_threads_that_have_no_task_left_are_idle(tokens, factor):
    prefill = times(model().predict(prompt_tokens=tokens, depth=0).prefill)
    moved_ms = tokens * 8000 / 80e6 / 0.5
    assert prefill["test_embedding"].memory_ms == pytest.approx(factor * moved_ms)


def test_weights_of_all_experts_decide_how_near_they_are():
    """Two of eight experts would fit into the cache, but the next token chooses others."""
    costs = {
        name: replace(cost, bytes=replace(cost.bytes, fixed=0)) for name, cost in COSTS.items()
    }
    store = costs["test_store"]
    costs["test_store"] = replace(store, bytes=replace(store.bytes, per_expert=1 << 21))
    decode = times(model(costs).predict(prompt_tokens=1, depth=9).decode)
    memory_ms = 2 * (2 * (1 << 21) / 10e6 + 1000 / 80e6) / 0.75
    assert decode["test_store"].memory_ms == pytest.approx(memory_ms, rel=1e-6)


def test_a_kernel_without_cost_is_refused():
    costs = {name: cost for name, cost in COSTS.items() if name != "test_mean"}
    with pytest.raises(BundleError, match="says nothing of the kernel test_mean"):
        model(costs).predict(prompt_tokens=1, depth=0)


def test_a_kind_of_kernel_that_was_never_measured_is_refused():
    costs = COSTS | {"test_mean": replace(COSTS["test_mean"], scheme="f16")}
    with pytest.raises(TargetError, match="sink_attention f16 f32 was never measured"):
        model(costs).predict(prompt_tokens=1, depth=0)


def test_another_number_of_threads_is_refused():
    manifest = make_manifest({}, kernels=COSTS)
    with pytest.raises(UsageError, match="those of 2 threads, so they say nothing of 4"):
        predict(make_plan(), manifest, ROOFLINE, prompt_tokens=1, depth=0, threads=4)


def test_devices_whose_kernels_were_never_measured_are_refused():
    target = TargetEntry(name="opencl", host=HostEntry(arch="x86_64", cpu_features=()))
    manifest = make_manifest({}, kernels=COSTS, target=target)
    limits = replace(ROOFLINE, isa="opencl")
    with pytest.raises(TargetError, match="kernels on opencl devices was never measured"):
        predict(make_plan(), manifest, limits, prompt_tokens=1, depth=0, threads=2)


def test_limits_of_other_kernels_are_refused():
    target = TargetEntry(name="cpu:x86-64-v2", host=HostEntry(arch="x86_64", cpu_features=()))
    manifest = make_manifest({}, kernels=COSTS, target=target)
    with pytest.raises(UsageError, match="those of kernels for avx2, and a bundle for cpu:x86-64-"):
        predict(make_plan(), manifest, ROOFLINE, prompt_tokens=1, depth=0, threads=2)
