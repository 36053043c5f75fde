"""Sums over hand-made times of a hand-made plan."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ossc.runtimes.kernel_cost import KernelCost, Work
from ossc.runtimes.profile.aggregation.executions import Bundled, TimedCall, coverage
from ossc.runtimes.profile.aggregation.experts import entropy, expert_use
from ossc.runtimes.profile.aggregation.phases import phase_times, typical_calls
from ossc.runtimes.profile.aggregation.timeline import timeline
from ossc.runtimes.profile.device.answers import CallTimes
from ossc.runtimes.profile.profile import KernelTimes, PhaseName
from ossc.targets.roofline import Roofline
from synthetic.opencl_plan import make_opencl_plan
from synthetic.tiny_plan import CHUNK, COSTS, ROW_BYTES, WEIGHTS_BYTES, make_plan

THREADS = 2
DECODE, PREFILL, HEAD = 0, 1, 2
STEPS = {DECODE: 4, PREFILL: 4, HEAD: 1}
ROOFLINE = Roofline(
    source="measured",
    isa="avx2",
    threads=THREADS,
    read_gb_per_s={1024: 10.0},
    f32_gflops=10.0,
    int8_gops=10.0,
    launch_ns=1.0,
)
EXPERTS = 5
EXPERT_BYTES = 1000

BUNDLED = Bundled(plan=make_plan(), costs=COSTS)
EXPERT_COSTS = COSTS | {
    "test_mean": KernelCost(
        operation="expert_linear",
        scheme="mxfp4",
        arithmetic="int8",
        bytes=Work(per_expert=EXPERT_BYTES),
        operations=Work(per_token=7),
        experts=EXPERTS,
        experts_per_tok=2,
    )
}


def call(
    *parts: tuple[int, int],
    position: int = 0,
    ns: int = 100,
    routing: Sequence[Sequence[int]] | None = None,
) -> TimedCall:
    """Make a call that ran segments of ``parts`` (index, tokens), each step in ``ns``.

    The caller's thread works half of each step, the other a quarter.
    """
    rows = [(segment, step, n) for segment, n in parts for step in range(STEPS[segment])]
    segment, step, num_tokens = (np.array(column, np.int64) for column in zip(*rows, strict=True))
    tokens = sum(n for segment, n in parts if segment != HEAD)
    begin = 1000 + ns * np.arange(len(rows))
    ends = np.stack([begin + ns // 2, begin + ns // 4], axis=1)
    begins = np.stack([begin, begin], axis=1)
    return TimedCall(
        position=position,
        seconds=ns * len(rows) / 1e9,
        times=CallTimes(
            begin_ns=1000,
            segment=segment,
            step=step,
            num_tokens=num_tokens,
            ns=np.full(len(rows), ns),
            thread_ns=np.stack([begins, ends], axis=2),
        ),
        routing=np.array(routing or [[0, 1]] * tokens, np.int32).reshape(1, -1, 2),
    )


def kernels_of(
    phase: PhaseName, bundled: Bundled, calls: Sequence[TimedCall], roofline: Roofline | None
) -> Sequence[KernelTimes]:
    return phase_times(phase, bundled, calls, roofline).kernels


def test_kernels_sum_to_the_time_of_all_steps():
    kernels = kernels_of("decode", BUNDLED, [call((DECODE, 1), (HEAD, 1))], ROOFLINE)
    assert sum(kernel.ms for kernel in kernels) == pytest.approx(500e-6)
    assert sum(kernel.share for kernel in kernels) == pytest.approx(1)
    assert {kernel.calls for kernel in kernels} == {1}


def test_times_are_those_of_one_call():
    calls = [call((DECODE, 1), ns=100), call((DECODE, 1), ns=300)]
    kernels = kernels_of("decode", BUNDLED, calls, ROOFLINE)
    assert [kernel.ms for kernel in kernels] == pytest.approx([200e-6] * 4)
    assert {kernel.calls for kernel in kernels} == {1}


def test_the_longest_kernel_comes_first():
    one = call((DECODE, 1), (HEAD, 1))
    one.times.ns[2] = 900
    kernels = kernels_of("decode", BUNDLED, [one], ROOFLINE)
    assert (kernels[0].kernel, kernels[0].operation) == ("test_store", "rope_store")


def test_bytes_grow_with_the_position_of_each_chunk():
    """Keys seen: 4 in the first chunk, 6 in the second, which holds 2 tokens."""
    one = call((PREFILL, CHUNK), (PREFILL, 2), (HEAD, 1))
    by_kernel = {k.kernel: k for k in kernels_of("prefill", BUNDLED, [one], ROOFLINE)}
    mean = by_kernel["test_mean"]
    assert mean.calls == 2
    assert mean.bytes == (8 + ROW_BYTES) * 6 + ROW_BYTES * (4 + 6)
    assert by_kernel["test_head"].bytes == WEIGHTS_BYTES + ROW_BYTES + 4 * 40
    assert mean.gb_per_s == pytest.approx(mean.bytes / 200)


def test_a_decoded_token_sees_the_keys_before_it():
    (mean,) = (
        kernel
        for kernel in kernels_of("decode", BUNDLED, [call((DECODE, 1), position=9)], ROOFLINE)
        if kernel.kernel == "test_mean"
    )
    assert mean.bytes == 8 + ROW_BYTES + 10 * ROW_BYTES


def test_the_limit_that_holds_a_kernel_is_named():
    kernels = kernels_of("decode", BUNDLED, [call((HEAD, 1))], ROOFLINE)
    (head,) = kernels
    assert head.bound == "memory"
    assert head.of_bound == pytest.approx((head.bytes / 10) / 100)
    slow_launch = replace(ROOFLINE, launch_ns=5000.0)
    (head,) = kernels_of("decode", BUNDLED, [call((HEAD, 1))], slow_launch)
    assert (head.bound, head.of_bound) == ("launch", 50)


def test_without_a_roofline_no_limit_is_named():
    (head,) = kernels_of("decode", BUNDLED, [call((HEAD, 1))], None)
    assert (head.bound, head.of_bound) == (None, None)


def test_waiting_is_the_time_without_a_task():
    """Of 2 × 100 ns, 50 and 25 are worked."""
    (head,) = kernels_of("decode", BUNDLED, [call((HEAD, 1))], ROOFLINE)
    assert head.waiting == pytest.approx(1 - 75 / 200)


def test_layers_hold_their_steps():
    (layer,) = phase_times("decode", BUNDLED, [call((DECODE, 1), (HEAD, 1))], None).layers
    assert (layer.layer, layer.share) == (0, 1)
    assert layer.ms == pytest.approx(500e-6)


def test_experts_are_counted_over_prefill_and_decode():
    bundled = Bundled(plan=BUNDLED.plan, costs=EXPERT_COSTS)
    prefill = call((PREFILL, 3), routing=[[0, 1], [0, 2], [0, 4]])
    decode = call((DECODE, 1), routing=[[4, 0]])
    (use,) = expert_use(bundled, [prefill, decode], {})
    assert use.layer == 0
    assert use.counts == (4, 1, 1, 0, 2)
    assert use.expert_bytes == EXPERT_BYTES


def test_an_expert_kernels_time_is_divided_among_those_that_ran():
    bundled = Bundled(plan=BUNDLED.plan, costs=EXPERT_COSTS)
    decodes = [call((DECODE, 1), routing=[[4, 0]]), call((DECODE, 1), routing=[[4, 3]])]
    times = phase_times("decode", bundled, decodes, ROOFLINE)
    (use,) = expert_use(bundled, decodes, times.expert_ms)
    assert use.ms == pytest.approx((50e-6, 0, 0, 50e-6, 100e-6))


def test_bytes_of_experts_are_those_of_the_distinct_ones():
    bundled = Bundled(plan=BUNDLED.plan, costs=EXPERT_COSTS)
    one = call((PREFILL, 3), (PREFILL, 1), routing=[[0, 1], [0, 2], [0, 1], [3, 4]])
    by_kernel = {k.kernel: k for k in kernels_of("prefill", bundled, [one], ROOFLINE)}
    assert by_kernel["test_mean"].bytes == EXPERT_BYTES * (3 + 2)
    assert by_kernel["test_mean"].operations == 7 * 4


@pytest.mark.parametrize(
    ("counts", "share"),
    [
        pytest.param([3, 3, 3], 1.0, id="even"),
        pytest.param([9, 0, 0], 0.0, id="one"),
        pytest.param([1, 1, 0, 0], 0.5, id="half"),
        pytest.param([0, 0], 1.0, id="nothing-counted"),
    ],
)
def test_entropy_is_relative_to_even_use(counts, share):
    assert entropy(np.array(counts)) == pytest.approx(share)


def test_the_timeline_begins_at_zero_and_has_no_gap():
    spans = timeline(BUNDLED, call((DECODE, 1), (HEAD, 1)))
    assert [span.begin_us for span in spans] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert spans[0].label == "test_embedding of the test"
    assert spans[1].threads == ((pytest.approx(0.1), 0.05), (pytest.approx(0.1), 0.025))


def test_a_thread_without_a_task_has_no_span():
    one = call((HEAD, 1))
    one.times.thread_ns[:, 1] = 0
    assert timeline(BUNDLED, one)[0].threads[1] == (0, 0)


def test_outliers_are_not_typical():
    calls = [replace(call((HEAD, 1)), seconds=seconds) for seconds in (1.0, 2.0, 3.0, 4.0, 90.0)]
    assert [one.seconds for one in typical_calls(calls)] == [2, 3, 4]


def test_kernels_and_layers_are_of_the_typical_calls_and_samples_of_all():
    calls = [call((DECODE, 1), ns=ns) for ns in (100, 110, 120, 130, 9000)]
    times = phase_times("decode", BUNDLED, calls, ROOFLINE)
    assert [kernel.ms for kernel in times.kernels] == pytest.approx([120e-6] * 4)
    assert sum(kernel.ms for kernel in times.kernels) == pytest.approx(times.layers[0].ms)
    assert times.kernels[0].samples_ms == pytest.approx((1e-4, 1.1e-4, 1.2e-4, 1.3e-4, 9e-3))


def test_coverage_is_the_steps_time_over_the_wall_time():
    one = call((DECODE, 1))
    assert coverage([one]) == pytest.approx(1)
    assert coverage([replace(one, seconds=800e-9)]) == pytest.approx(0.5)


def test_behind_a_driver_a_kernel_s_time_is_the_device_s():
    """The caller's thread works half of each step: the rest is launching it and waiting."""
    bundled = Bundled(plan=make_opencl_plan(), costs=COSTS)
    steps = [call((DECODE, 1), (HEAD, 1))]
    times = phase_times("decode", bundled, steps, ROOFLINE)
    assert [row.ms for row in times.kernels] == pytest.approx([50 / 1e6] * 5)
    assert sum(row.share for row in times.kernels) == pytest.approx(1)
    assert sum(row.ms for row in times.layers) == pytest.approx(5 * 50 / 1e6)
    assert {row.samples_ms for row in times.kernels} == {(50 / 1e6,)}
    on_the_cpu = phase_times("decode", BUNDLED, steps, ROOFLINE)
    assert on_the_cpu.kernels[0].ms == pytest.approx(100 / 1e6)
