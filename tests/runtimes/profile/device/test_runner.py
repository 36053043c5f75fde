"""A runner on the tests' bundle, and on programs that are none."""

import signal
import sys
from dataclasses import replace

import numpy as np
import pytest

from ossc.runtimes.plan import Plan
from ossc.runtimes.profile.device.answers import THE_CPU
from ossc.runtimes.profile.device.runner import PROTOCOL, Runner
from ossc.runtimes.session import Session
from ossc.targets.errors import SessionError
from synthetic.opencl_plan import make_opencl_plan
from synthetic.tiny_plan import CONTEXT, make_plan

PROMPT = [5, 1, 30, 30, 2, 0, 17]
HELLO = (
    '{"protocol":%d,"load_s":1,"threads":1,"weights_bytes":1,"state_bytes":1,"arena_bytes":1,'
    '"target":"t","instruction_set":"base"}'
)


@pytest.fixture
def runner(tiny_bundle):
    plan = Plan.from_bytes((tiny_bundle / "plan.bin").read_bytes())
    command = [str(tiny_bundle / "ossc-run"), str(tiny_bundle), "--measure", "--threads", "2"]
    with Runner(command, plan) as runner:
        yield runner


def pretend(*lines, then="", plan=None, **options):
    """A runner that is a script: it prints lines, and answers commands with Python code."""
    printed = "".join(f"print({line!r}, flush=True)\n" for line in lines)
    code = f"import sys\n{printed}for line in sys.stdin:\n    pass\n    {then}\n"
    return Runner([sys.executable, "-c", code], plan or make_plan(), **options)


def test_it_runs_the_tokens(runner, tiny_bundle):
    prefilled, decoded = runner.prefill(PROMPT), runner.decode([3, 4])
    with Session(tiny_bundle, threads=1) as session:
        expected = [session.prefill(PROMPT), session.decode(3), session.decode(4)]
    likeliest = [int(np.argmax(logits)) for logits in expected]
    assert [prefilled.argmax, *decoded.argmax] == likeliest
    assert prefilled.seconds > 0
    assert len(decoded.seconds) == 2
    assert prefilled.times is prefilled.routing is decoded.times is decoded.routing is None


def test_it_says_what_was_opened_and_how_long_it_took(runner):
    assert (runner.hello.threads, runner.hello.target) == (2, "cpu:test")
    assert runner.start_s > runner.hello.load_s > 0


def test_it_observes_what_it_is_asked_to(runner):
    runner.times(True)
    runner.routing(True)
    prefilled, decoded = runner.prefill(PROMPT), runner.decode([3, 4])
    assert prefilled.times.thread_ns.shape == (9, 2, 2)
    assert prefilled.times.ns.sum() <= 1e9 * prefilled.seconds
    assert prefilled.routing.tolist() == [[[i % 4, (i + 1) % 4] for i in PROMPT]]
    assert [times.num_tokens.tolist() for times in decoded.times] == [[1] * 5] * 2
    assert [routing.tolist() for routing in decoded.routing] == [[[[3, 0]]], [[[0, 1]]]]
    runner.times(False)
    runner.routing(False)
    plain = runner.prefill([1])
    assert plain.times is plain.routing is None


def test_it_stands_where_it_is_put(runner):
    runner.fill(CONTEXT - 1)
    runner.decode([1])
    with pytest.raises(SessionError, match="do not fit into the context"):
        runner.decode([1])
    runner.reset()
    runner.prefill([1] * CONTEXT)


def test_threads_can_be_changed(runner):
    runner.times(True)
    runner.prefill([1])
    runner.threads(3)
    assert runner.prefill([1] * CONTEXT).times.thread_ns.shape[1:] == (3, 2)


def test_memory_probes_and_machine_come_back(runner):
    memory = runner.memory()
    assert memory.peak_rss_bytes >= memory.anonymous_bytes > 0
    assert runner.probe("read", 2, 1 << 20).value > 0
    assert runner.probe("launch", 1).spread >= 0
    assert runner.machine().cpus > 0


def test_the_time_of_the_runner_s_threads_is_counted(runner):
    before = runner.machine()
    seconds = sum(runner.prefill([1] * CONTEXT).seconds for _ in range(20) if not runner.reset())
    after = runner.machine()
    assert before.waited_s <= after.waited_s
    assert after.ran_s - before.ran_s + after.waited_s - before.waited_s > seconds / 2


def test_a_refusal_leaves_the_runner_usable(runner):
    with pytest.raises(SessionError, match="Token id 99 is not in the vocabulary"):
        runner.prefill([99])
    with pytest.raises(SessionError, match="No tokens"):
        runner.decode([])
    assert runner.prefill([1]).seconds > 0


def test_a_closed_runner_is_refused(runner):
    runner.close()
    with pytest.raises(SessionError, match="closed"):
        runner.reset()


def test_a_bundle_that_is_refused_is_the_error(tiny_bundle):
    with pytest.raises(SessionError, match=r"^Cannot open /nowhere/manifest.json"):
        Runner([str(tiny_bundle / "ossc-run"), "/nowhere", "--measure"], make_plan())


def test_a_program_that_is_not_there_is_the_error():
    with pytest.raises(SessionError, match=r"/nowhere does not start \(No such file"):
        Runner(["/nowhere"], make_plan())


def test_a_program_that_ends_silently_is_the_error():
    with pytest.raises(SessionError, match="ended with status 3"):
        Runner(["sh", "-c", "exit 3"], make_plan())


def test_a_runner_that_dies_says_so():
    with (
        pretend(HELLO % PROTOCOL, then="sys.exit('out of luck')") as runner,
        pytest.raises(SessionError, match="out of luck"),
    ):
        runner.reset()


def test_a_runner_that_is_gone_says_so():
    code = (
        f"import sys; print({HELLO % PROTOCOL!r}, flush=True); sys.stdin.close(); sys.exit('gone')"
    )
    with Runner([sys.executable, "-c", code], make_plan()) as runner:
        runner._process.wait()
        with pytest.raises(SessionError, match="gone"):
            runner.reset()


def test_another_protocol_is_refused():
    with pytest.raises(SessionError, match=f"speaks version {PROTOCOL + 1} of the protocol"):
        pretend(HELLO % (PROTOCOL + 1))


def test_a_runner_that_does_not_say_which_device_it_runs_on_is_refused():
    plan = make_opencl_plan()
    with pytest.raises(SessionError, match=r"which opencl device it runs on; compile the model"):
        pretend(HELLO % PROTOCOL, plan=plan)


def test_the_device_is_the_cpu(runner):
    assert replace(runner.hello.device, memory_bytes=0) == THE_CPU
    with pytest.raises(SessionError, match=r"^There are no probes for the device cpu, so"):
        runner.device_probe("cpu", "f32")


@pytest.mark.parametrize("line", ["", "hello", "[1]", '{"protocol": 1}', '{"a":1,"a":1}', "NaN"])
def test_another_first_line_is_refused(line):
    with pytest.raises(SessionError, match="not its protocol"):
        pretend(line)


@pytest.mark.parametrize(
    "line", ["", "42", "{}", '{"seconds":"1","argmax":1,"waited_s":0}', "\ud800"]
)
def test_another_answer_is_refused(line):
    answer = f"print({line!r}.encode(errors='surrogatepass').decode(errors='replace'), flush=True)"
    with (
        pretend(HELLO % PROTOCOL, then=answer) as runner,
        pytest.raises(SessionError, match="not its protocol"),
    ):
        runner.prefill([1])


def test_what_comes_before_the_ready_line_is_ignored():
    with pretend("Welcome!", "{}", "ready", HELLO % PROTOCOL, ready_line="ready") as runner:
        assert runner.hello.threads == 1


def test_a_ready_line_that_never_comes_is_the_error():
    with pytest.raises(SessionError, match="ended with status 0"):
        Runner(["echo", "Welcome!"], make_plan(), ready_line="ready")


def test_an_interruption_ends_the_process_at_once():
    def interrupt(runner):
        with runner:
            raise KeyboardInterrupt

    runner = pretend(HELLO % PROTOCOL)
    with pytest.raises(KeyboardInterrupt):
        interrupt(runner)
    assert runner._process.returncode == -signal.SIGKILL
