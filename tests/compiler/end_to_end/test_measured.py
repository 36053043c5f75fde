"""Bundles of our compiler measured by their own ``ossc-run``: here, over SSH, emulated."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest

from compiled import CONTEXT, Build
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.kv_type import KV_TYPES
from ossc.runtimes.profile.measure import profile_bundle
from ossc.runtimes.profile.places import LOCAL, find_place
from ossc.runtimes.profile.prediction.report import predict_workload
from ossc.runtimes.profile.workload import Workload
from synthetic.ssh_server import ssh_server

PROMPT_TOKENS = 150
"""More than a prefill chunk."""
NEW_TOKENS = 40
BUILD = Build(quant="default", kv_types=KV_TYPES)
WORKLOAD = Workload(prompt_tokens=(8,), new_tokens=4, repeats=2, threads=2)


@pytest.fixture
def bundle(compiled):
    return compiled(BUILD).bundle


def test_the_times_of_steps_sum_up_to_the_wall_time(compiled, bundle):
    ids = compiled(BUILD).token_ids()
    with LOCAL.start(Bundle.open(bundle), threads=2) as runner:
        runner.times(True)
        prefills = []
        for _ in range(5):
            runner.reset()
            prefills.append(runner.prefill(ids[:PROMPT_TOKENS]))
        decoded = runner.decode(ids[:NEW_TOKENS])
    calls = [(call.times, call.seconds) for call in prefills]
    calls_of_one = list(zip(decoded.times, decoded.seconds, strict=True))
    for timed in (calls, calls_of_one):
        covered = [times.ns.sum() / (1e9 * seconds) for times, seconds in timed]
        assert 0.95 <= np.median(covered) <= 1
        assert max(covered) <= 1


def test_observing_changes_no_token_and_gives_the_session_s_routing(compiled, bundle):
    ids = compiled(BUILD).token_ids(PROMPT_TOKENS)
    with compiled(BUILD).session() as session:
        argmax = int(np.argmax(session.prefill(ids)))
        routing = session.router_indices()
    with LOCAL.start(Bundle.open(bundle), threads=2) as runner:
        plain = runner.prefill(ids)
        runner.reset()
        runner.times(True)
        runner.routing(True)
        observed = runner.prefill(ids)
    assert plain.argmax == observed.argmax == argmax
    np.testing.assert_array_equal(observed.routing, routing)


def test_every_step_of_the_plan_is_timed_once_for_each_token(bundle):
    opened = Bundle.open(bundle)
    with LOCAL.start(opened, threads=1) as runner:
        runner.times(True)
        (times,) = runner.decode([1]).times
    ran = [opened.plan.segments[s].steps[i] for s, i in zip(times.segment, times.step, strict=True)]
    decode, head = opened.plan.segment("decode"), opened.plan.segment("head", 1)
    assert ran == [*decode.steps, *head.steps]


def test_decode_works_at_any_depth_that_was_filled(bundle):
    with LOCAL.start(Bundle.open(bundle), threads=2) as runner:
        for position in (0, 1, 127, CONTEXT - 4):
            runner.fill(position)
            assert len(runner.decode([1, 2, 3, 4]).seconds) == 4


@pytest.mark.parametrize("kv", ["f16", None])
def test_the_type_of_the_kv_caches_is_the_one_that_ran(bundle, kv):
    opened = Bundle.open(bundle, kv=kv)
    profile = profile_bundle(bundle, replace(WORKLOAD, kv=kv))
    ran = kv or "f32"
    assert profile.workload.kv == ran
    assert profile.memory.kv_bytes == opened.manifest.memory.kv[ran].kv_bytes
    assert {row.kernel for row in profile.kernels} <= {
        step.kernel for segment in opened.plan.segments for step in segment.steps
    }
    assert profile.predicted is not None
    report = predict_workload(opened, WORKLOAD, profile.roofline)
    assert profile.predicted.decode_ms == {one.depth: one.decode_ms for one in report.decodes}
    assert report.kv == ran


def test_a_profile_comes_back_over_ssh(bundle, tmp_path, monkeypatch):
    with ssh_server(tmp_path) as server:
        monkeypatch.setenv("PATH", f"{server.client}{os.pathsep}{os.environ['PATH']}")
        place = find_place(f"ssh://127.0.0.1:{server.port}{tmp_path}/there")
        profile = profile_bundle(bundle, WORKLOAD, place)
    assert (profile.place.name, profile.place.emulated) == (place.name, False)
    assert profile.bundle.target == Bundle.open(bundle).manifest.target.name
    assert profile.machine.cpus > 0
    assert profile.roofline.f32_gflops > 0
    assert len(profile.decode[0].latency.samples_ms) >= 2 * WORKLOAD.new_tokens


@pytest.mark.emulated
def test_a_profile_of_an_emulated_machine_says_so(compiled):
    if not shutil.which("qemu-aarch64") and not shutil.which("qemu-aarch64-static"):
        pytest.skip("qemu-aarch64 is not installed; scripts/install-packages installs it")
    other = compiled(Build(quant="default", target="cpu:aarch64")).bundle
    profile = profile_bundle(other, WORKLOAD, find_place("qemu:aarch64"))
    assert (profile.place.name, profile.place.emulated) == ("qemu:aarch64", True)
    assert profile.roofline is profile.predicted is None
    assert profile.kernels
