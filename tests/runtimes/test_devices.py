"""Sessions on plans of several shapes, and on the device that computes nothing."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ossc.runtimes.plan import Binding, DType, Role, Use
from ossc.runtimes.session import Session
from synthetic.tiny_bundle import reference_logits, weights, write_bundle
from synthetic.tiny_plan import (
    ARENA,
    HIDDEN,
    HIDDEN_IN,
    LOGITS,
    ROUTER,
    STATE,
    TENSORS,
    VOCAB,
    WEIGHTS,
    body,
    head,
    make_manifest,
    make_plan,
    step,
    tensor,
)

IDS = [5, 1, 30, 30, 2, 0]
BODIES = body("decode", 1), body("prefill", 4)
HEADS = head(1), head(16)
MEMORY = make_manifest({}).memory


@pytest.fixture
def open_session(tmp_path, binaries):
    """Opens a session on a bundle with this plan, and closes it."""
    opened = []

    def open_one(plan, files=None):
        bundle = write_bundle(
            tmp_path / "bundle",
            binaries,
            plan=plan.to_bytes(),
            files=files,
            memory=replace(MEMORY, weights_bytes=plan.weights_bytes),
        )
        opened.append(Session(bundle, record_routing=True))
        return opened[-1]

    yield open_one
    for session in opened:
        session.close()


def test_a_model_without_routers_runs(open_session):
    bodies = [
        replace(each, outputs=each.outputs[:1], steps=(each.steps[0], *each.steps[2:]))
        for each in BODIES
    ]
    session = open_session(make_plan(segments=(*bodies, *HEADS)))
    logits = session.prefill(IDS, all_logits=True)
    np.testing.assert_allclose(logits, reference_logits(IDS), rtol=1e-4, atol=1e-5)
    assert session.router_indices().shape == (0, len(IDS), 0)


def test_each_router_has_its_own_number_of_experts(open_session):
    wide = tensor(Use.STATE, 12288, DType.I32, -1, 3, role=Role.EXPERT_INDICES)
    routers = (Binding(tensor=ROUTER, layer=0), Binding(tensor=len(TENSORS), layer=2))
    bodies = [
        replace(
            each,
            outputs=(each.outputs[0], *routers),
            steps=(*each.steps, step("test_router", 1, len(TENSORS))),
        )
        for each in BODIES
    ]
    session = open_session(make_plan(tensors=(*TENSORS, wide), segments=(*bodies, *HEADS)))
    session.prefill(IDS)
    expected = [
        [[(i + slot) % 4 if slot < k else -1 for slot in range(3)] for i in IDS] for k in (2, 3)
    ]
    np.testing.assert_array_equal(session.router_indices(), expected)


def test_weights_are_read_from_several_files(open_session):
    shard = replace(WEIGHTS, file="weights.1.bin")
    second = tensor(Use.WEIGHTS, 0, DType.F32, VOCAB, HIDDEN, role=Role.WEIGHTS)
    heads = [
        replace(each, steps=(step("test_head", HIDDEN_IN, len(TENSORS), LOGITS, fixed=VOCAB),))
        for each in HEADS
    ]
    plan = make_plan(
        spaces=(WEIGHTS, STATE, ARENA, shard),
        tensors=(*TENSORS, replace(second, space=3)),
        segments=(*BODIES, *heads),
    )
    data = weights()
    files = {"weights.bin": data.tobytes(), "weights.1.bin": (2 * data).tobytes()}
    session = open_session(plan, files)
    np.testing.assert_allclose(
        session.prefill(IDS), 2 * reference_logits(IDS)[-1], rtol=1e-4, atol=1e-5
    )


NOTICE = "ossc: The device is null: nothing is computed, and all answers are zeros.\n"


def run_on(device, command):
    environment = os.environ | {"OSSC_DEVICE": device}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, stdin=None
    )


def test_the_program_runs_on_the_device_that_computes_nothing(tiny_bundle):
    program = tiny_bundle / "ossc-run"
    done = run_on("null", [program, tiny_bundle, "--token-ids", "39 1 2 3 4 5", "-n", "3"])
    assert (done.returncode, done.stdout) == (0, "0 0 0\n")
    assert done.stderr.startswith(NOTICE)
    assert done.stderr.count(NOTICE) == 1


def test_the_library_runs_on_the_device_that_computes_nothing(tiny_bundle):
    code = (
        "import sys\n"
        "from ossc.runtimes.session import Session\n"
        "with Session(sys.argv[1], record_routing=True) as session:\n"
        "    logits = session.prefill([39, 1, 2, 3, 4, 5], all_logits=True)\n"
        "    print(logits.shape, logits.any(), session.router_indices().any(), session.position)\n"
    )
    done = run_on("null", [sys.executable, "-c", code, str(tiny_bundle)])
    assert (done.stdout, done.stderr) == ("(6, 40) False False 6\n", NOTICE)


@pytest.mark.parametrize("device", ["NULL", "nul", "gpu", " ", "cpu,null"])
def test_an_unknown_device_is_refused_with_those_that_there_are(tiny_bundle, device):
    done = run_on(device, [tiny_bundle / "ossc-run", tiny_bundle, "--token-ids", "1"])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"ossc-run: OSSC_DEVICE is {device}, which is no device of this runtime; unset it, or set "
        "it to one of: cpu, opencl, null.\n"
    )


@pytest.mark.parametrize("device", ["", "cpu"])
def test_the_plans_own_device_may_be_named(tiny_bundle, device):
    command = [tiny_bundle / "ossc-run", tiny_bundle, "--token-ids", "1", "-n", "2"]
    done = run_on(device, command)
    assert (done.returncode, len(done.stdout.split())) == (0, 2)
    assert "OSSC_DEVICE" not in done.stderr


def test_measuring_works_on_the_device_that_computes_nothing(tiny_bundle):
    done = subprocess.run(
        [tiny_bundle / "ossc-run", tiny_bundle, "--measure", "--threads", "1"],
        input="times on\nprefill 1 2 3\n",
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OSSC_DEVICE": "null"},
    )
    hello, _, prefill = done.stdout.splitlines()
    assert '"instruction_set":"base"' in hello
    assert '"argmax":0' in prefill
