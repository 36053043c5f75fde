"""Sessions on the stand-in for a CUDA device, against float64."""

import os
import subprocess
import sys

import numpy as np
import pytest

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.devices import list_devices
from ossc.runtimes.profile.places import LOCAL
from ossc.runtimes.session import Session
from synthetic.tiny_bundle import reference_logits

IDS = [5, 1, 30, 30, 2, 0, 39, 7, 7]
"""More than two prefill chunks; the last token is left over, and runs alone."""

PROMPT = " ".join(map(str, IDS))


def assert_close(logits, expected):
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def likeliest(count):
    ids = list(IDS)
    for _ in range(count):
        ids.append(int(reference_logits(ids)[-1].argmax()))
    return [str(token_id) for token_id in ids[len(IDS) :]]


@pytest.mark.parametrize("mode", ["mapped", "resident"])
@pytest.mark.parametrize("devices", ["87", "87i", "89,120"])
def test_logits_are_those_of_the_model(bundle, fake_cuda, devices, mode):
    with (
        fake_cuda.driver(DEVICES=devices),
        Session(bundle, weights=mode, record_routing=True) as session,
    ):
        assert_close(session.prefill(IDS, all_logits=True), reference_logits(IDS))
        routing = session.router_indices()
        np.testing.assert_array_equal(routing, [[[i % 4, (i + 1) % 4] for i in IDS]])
        assert_close(session.decode(3), reference_logits([*IDS, 3])[-1])
        assert_close(session.decode(8), reference_logits([*IDS, 3, 8])[-1])
        session.reset()
        assert_close(session.prefill([4]), reference_logits([4])[-1])
        assert session.threads == 1


def test_sessions_do_not_disturb_each_other(bundle, fake_cuda):
    with fake_cuda.driver(), Session(bundle) as first, Session(bundle) as second:
        first.prefill(IDS[:3])
        second.prefill(IDS[3:5])
        assert_close(first.decode(IDS[3]), reference_logits(IDS[:4])[-1])
        assert_close(second.decode(IDS[5]), reference_logits(IDS[3:6])[-1])


def test_the_steps_of_a_token_are_recorded_once_and_then_repeated(program):
    tokens, calls = program.continue_prompt(PROMPT)
    assert tokens == likeliest(4)
    assert calls["cuStreamBeginCapture_v2"] == 2  # of decode, and of the head of one row
    assert calls["cuGraphLaunch"] == 2 * (1 + 3)  # the last of the prompt, and three of four
    assert calls["cuLaunchKernel"] == 2 * 4 + 4 + 1  # two chunks, and what was recorded
    assert calls["left"] == 0


def test_a_later_architecture_runs_what_its_driver_makes_of_the_ptx(program):
    tokens, calls = program.continue_prompt(PROMPT, DEVICES="90")
    assert (tokens, calls["cuModuleLoadDataEx"]) == (likeliest(4), 2)
    tokens, calls = program.continue_prompt(PROMPT, DEVICES="87")
    assert (tokens, calls["cuModuleLoadDataEx"]) == (likeliest(4), 1)


@pytest.mark.parametrize(
    ("variables", "arguments", "copied"),
    [
        pytest.param({"DEVICES": "87"}, (), True, id="memory-of-its-own"),
        pytest.param({"DEVICES": "87i"}, (), False, id="shared"),
        pytest.param({"DEVICES": "87i"}, ("--weights", "resident"), True, id="resident"),
        pytest.param(
            {"DEVICES": "87i", "ERRORS": "cuMemHostRegister_v2@1=801"},
            (),
            True,
            id="not-registered",
        ),
        pytest.param(
            {"DEVICES": "87i", "ERRORS": "cuMemHostGetDevicePointer_v2@1=801"},
            (),
            True,
            id="not-mapped",
        ),
    ],
)
def test_weights_are_copied_unless_the_device_shares_memory(program, variables, arguments, copied):
    done, calls = program.run(
        str(program.bundle), "--token-ids", PROMPT, "-n", "4", *arguments, **variables
    )
    assert done.stdout.split() == likeliest(4)
    assert calls["cuMemAlloc_v2"] == 2 + copied  # state and arena
    assert calls["left"] == 0


def test_steps_are_timed_by_the_device(bundle, fake_cuda):
    with fake_cuda.driver() as calls, LOCAL.start(Bundle.open(bundle)) as runner:
        runner.times(True)
        timing = runner.prefill(IDS[:4])
    assert len(timing.times.step) == 4 + 1  # of the body and of the head
    worked = timing.times.thread_ns[:, 0]
    assert (worked[:, 1] > worked[:, 0]).all()
    assert calls["cuEventElapsedTime"] == 4 + 1
    assert calls["left"] == 0


def test_devices_are_listed(bundle, fake_cuda):
    with fake_cuda.driver(DEVICES="87i,90", MEMORY="5000000", DRIVER="12060"):
        first, second = [each for each in list_devices(bundle) if each.kind == "cuda"]
    assert (first.name, first.type, first.driver) == ("Fake GPU A", "gpu", "CUDA 12.6")
    assert (first.memory_bytes, first.shares_memory, first.is_default) == (5000000, True, True)
    assert (second.name, second.shares_memory, second.is_default) == ("Fake GPU B", False, False)


CYCLES = """
import os, sys
from ossc.runtimes.session import Session
def cycle():
    with Session(sys.argv[1]) as session:
        session.prefill([5, 1, 30, 30, 2])
        session.decode(3)
cycle()
before = len(os.listdir("/proc/self/fd"))
for _ in range(200):
    cycle()
assert len(os.listdir("/proc/self/fd")) == before
"""


def test_two_hundred_cycles_leave_nothing_behind(bundle, fake_cuda):
    with fake_cuda.driver() as calls:
        subprocess.run([sys.executable, "-c", CYCLES, bundle], check=True, env=os.environ)
    assert calls["left"] == 0
    assert calls["cuModuleLoadDataEx"] == 201


FORK = """
import os, sys
from ossc.runtimes.session import Session
from ossc.targets.errors import SessionError
with Session(sys.argv[1]) as session:
    session.prefill([5])
    if os.fork() == 0:
        session.close()
        try:
            Session(sys.argv[1])
        except SessionError as error:
            print(error)
        os._exit(0)
    os.wait()
    print(int(session.decode(3).argmax()))
"""


def test_a_forked_process_is_told_to_begin_anew(bundle, fake_cuda):
    with fake_cuda.driver() as calls:
        done = subprocess.run(
            [sys.executable, "-c", FORK, bundle], check=True, capture_output=True, text=True
        )
    refusal, answer = done.stdout.splitlines()
    assert refusal == (
        "CUDA was in use before this process was forked, and works in its parent alone; open the "
        "bundle in a new process."
    )
    assert answer == str(int(reference_logits([5, 3])[-1].argmax()))
    assert calls["left"] == 0
