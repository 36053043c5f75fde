"""Sessions on OpenCL devices, against float64."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.plan import DType
from ossc.runtimes.profile.places import LOCAL
from ossc.runtimes.session import Session
from ossc.targets.errors import BundleError
from synthetic.opencl_bundle import write_opencl_bundle
from synthetic.opencl_plan import (
    ARENA,
    KERNELS,
    MULTIPLY,
    STATE,
    TENSORS,
    WEIGHTS,
    body,
    head,
    make_opencl_plan,
)
from synthetic.tiny_bundle import reference_logits, weights
from synthetic.tiny_plan import HIDDEN_IN, LOGITS
from synthetic.tiny_plan import IDS as IDS_TENSOR

IDS = [5, 1, 30, 30, 2, 0, 39, 7, 7]
"""More than two prefill chunks."""


def assert_close(logits, expected):
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", ["mapped", "resident"])
def test_logits_are_those_of_the_model(bundle, any_driver, mode):
    with Session(bundle, weights=mode, device=any_driver.device, record_routing=True) as session:
        assert_close(session.prefill(IDS, all_logits=True), reference_logits(IDS))
        routing = session.router_indices()
        np.testing.assert_array_equal(routing, [[[i % 4, (i + 1) % 4] for i in IDS]])
        assert_close(session.decode(3), reference_logits([*IDS, 3])[-1])
        assert_close(session.decode(8), reference_logits([*IDS, 3, 8])[-1])
        session.reset()
        assert_close(session.prefill([4]), reference_logits([4])[-1])
        assert session.threads == 1


def test_chunks_follow_each_other_without_being_waited_for(bundle, any_driver):
    """Nothing is read between them, so what is written for one must not reach the one before."""
    with Session(bundle, device=any_driver.device) as session:
        for _ in range(10):
            session.reset()
            assert_close(session.prefill(IDS), reference_logits(IDS)[-1])


def test_sessions_do_not_disturb_each_other(bundle, any_driver):
    with (
        Session(bundle, device=any_driver.device) as first,
        Session(bundle, device=any_driver.device) as second,
    ):
        first.prefill(IDS[:3])
        second.prefill(IDS[3:5])
        assert_close(first.decode(IDS[3]), reference_logits(IDS[:4])[-1])
        assert_close(second.decode(IDS[5]), reference_logits(IDS[3:6])[-1])


def test_weights_are_read_from_several_files(tmp_path, binaries, any_driver):
    shard = replace(WEIGHTS, file="weights.1.bin")
    second = replace(TENSORS[0], space=3)
    multiply = replace(MULTIPLY, tensors=(HIDDEN_IN, len(TENSORS), LOGITS))
    plan = make_opencl_plan(
        spaces=(WEIGHTS, STATE, ARENA, shard),
        tensors=(*TENSORS, second),
        segments=(
            *(body("decode", 1), body("prefill", 4)),
            *(replace(head(rows), steps=(multiply,)) for rows in (1, 16)),
        ),
    )
    data = weights()
    files = {"weights.bin": data.tobytes(), "weights.1.bin": (2 * data).tobytes()}
    bundle = write_opencl_bundle(tmp_path / "shards", binaries, plan=plan, files=files)
    with Session(bundle, device=any_driver.device) as session:
        assert_close(session.prefill(IDS), 2 * reference_logits(IDS)[-1])


def test_the_program_generates_the_likeliest_tokens(bundle, any_driver, run_program):
    ids = IDS[:5]
    for _ in range(4):
        ids = [*ids, int(reference_logits(ids)[-1].argmax())]
    prompt = " ".join(map(str, IDS[:5]))
    device = any_driver.device
    done = run_program(bundle, "--token-ids", prompt, "-n", "4", "--device", device)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(token_id) for token_id in ids[5:]]


def test_the_environment_names_the_device(bundle, any_driver, monkeypatch):
    monkeypatch.setenv("OSSC_DEVICE", any_driver.device)
    with Session(bundle) as session:
        assert_close(session.prefill(IDS), reference_logits(IDS)[-1])
    monkeypatch.setenv("OSSC_DEVICE", "opencl:no such device")
    with Session(bundle, device=any_driver.device) as session:
        assert_close(session.prefill(IDS), reference_logits(IDS)[-1])


def test_steps_are_timed(bundle, any_driver):
    with LOCAL.start(Bundle.open(bundle), device=any_driver.device) as runner:
        assert runner.hello.threads == 1
        runner.times(True)
        timing = runner.prefill(IDS[:4])
    assert len(timing.times.step) == 4 + 1  # of the body and of the head
    worked = timing.times.thread_ns[:, 0]
    assert (worked[:, 1] > worked[:, 0]).all()


def test_what_the_driver_times_is_within_the_step(bundle, pocl):
    """PoCL has a clock: a step is launched, waited for, and worked on in between."""
    with LOCAL.start(Bundle.open(bundle), device=pocl.device) as runner:
        runner.times(True)
        timing = runner.prefill(IDS[:4])
    worked = timing.times.thread_ns[:, 0]
    assert (worked[:, 1] - worked[:, 0] < timing.times.ns).all()


def test_token_ids_have_the_type_of_the_plan(tmp_path, binaries, rusticl):
    wide = replace(TENSORS[IDS_TENSOR], dtype=DType.I64)
    plan = make_opencl_plan(tensors=(TENSORS[0], wide, *TENSORS[2:]))
    kernels = KERNELS.replace("const int* ids", "const long* ids")
    bundle = write_opencl_bundle(tmp_path / "wide", binaries, plan=plan, kernels=kernels)
    with Session(bundle, device=rusticl.device) as session:
        assert_close(session.prefill(IDS, all_logits=True), reference_logits(IDS))


def test_weights_are_copied_in_pieces(tmp_path, binaries, any_driver):
    """The second embedding lies behind the first piece; the file between is a hole."""
    place = 64 * 2**20
    space = replace(WEIGHTS, size_bytes=place + WEIGHTS.size_bytes)
    moved = replace(TENSORS[0], offset_bytes=place)
    plan = make_opencl_plan(spaces=(space, STATE, ARENA), tensors=(moved, *TENSORS[1:]))
    data = bytes(place) + weights().tobytes()
    bundle = write_opencl_bundle(
        tmp_path / "large", binaries, plan=plan, files={"weights.bin": data}
    )
    with Session(bundle, weights="resident", device=any_driver.device) as session:
        assert_close(session.prefill(IDS), reference_logits(IDS)[-1])


def test_weights_that_are_cut_are_noticed(bundle, pocl):
    """PoCL reads them where they are."""
    with Session(bundle, device=pocl.device) as session:
        session.prefill([1])
        os.truncate(bundle / "weights.bin", 0)
        for _ in range(2):
            with pytest.raises(BundleError, match=r"weights.bin was cut, or can no longer be read"):
                session.decode(2)


def test_a_fork_has_no_driver(bundle, any_driver):
    """Its threads are in the parent; whoever forks neither hangs nor computes."""
    code = (
        "import os, sys\n"
        "from ossc.runtimes.session import Session\n"
        "from ossc.targets.errors import SessionError\n"
        "session = Session(sys.argv[1], device=sys.argv[2])\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    for call in (lambda: session.prefill([1]), lambda: Session(sys.argv[1])):\n"
        "        try:\n"
        "            call()\n"
        "        except SessionError as error:\n"
        "            print(error, flush=True)\n"
        "    library = session._library._library\n"
        "    library.ossc_session_destroy(session._handle._session)\n"
        "    library.ossc_model_close(session._handle._model)\n"
        "    os._exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
        "session.prefill([1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(bundle), any_driver.device],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    first, second, status = done.stdout.splitlines()
    assert "fork" in first
    assert second.startswith("OpenCL was in use before this process was forked")
    assert status == "7"
