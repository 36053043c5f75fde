"""A session among threads, forks, limits of the system, and damage while it is open."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from ossc.runtimes.session import Session
from ossc.targets.errors import BundleError, SessionError
from synthetic.tiny_plan import CONTEXT, VOCAB


@pytest.fixture
def session(tiny_bundle):
    with Session(tiny_bundle, threads=2, record_routing=True) as session:
        yield session


def call_at_once(session, outcomes):
    """Decode as often as there is room, whatever another thread does."""
    while len(outcomes) < CONTEXT:
        try:
            session.decode(1)
            outcomes.append(None)
        except SessionError as error:
            if "Another thread runs a call" not in str(error):
                return


def test_tokens_of_two_threads_do_not_mix(session):
    outcomes = []
    threads = [threading.Thread(target=call_at_once, args=(session, outcomes)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert session.position == len(outcomes) == CONTEXT


def test_while_another_thread_calls_everything_is_refused_but_properties(session):
    session.decode(1)
    messages = []

    def use():
        for call in (
            lambda: session.prefill([1]),
            session.reset,
            session.router_indices,
            lambda: next(session.generate([1])),
        ):
            with pytest.raises(SessionError, match="Another thread runs a call") as refused:
                call()
            messages.append(refused.value)
        messages.append((session.position, session.threads))

    with session._handle._calls.calling():
        thread = threading.Thread(target=use)
        thread.start()
        thread.join()
    assert len(messages) == 5
    assert messages[-1] == (1, 2)


def test_closing_waits_for_the_call_of_another_thread(tiny_bundle):
    session = Session(tiny_bundle, threads=2)
    with session._handle._calls.calling():
        thread = threading.Thread(target=session.close)
        thread.start()
        session._handle.run(np.array([1], np.int32), np.empty(VOCAB, np.float32))
    thread.join()
    with pytest.raises(SessionError, match="closed"):
        session.decode(1)


def test_a_signal_during_a_call_finds_the_session_after_it(session):
    """Python handles a signal when the call has ended; here, before its position is known."""
    handle, native = session._handle, session._library
    logits = np.empty(VOCAB, np.float32)

    class Interrupted:
        def call(self, *arguments):
            native.call(*arguments)
            raise KeyboardInterrupt

        integer = native.integer

    handle._library = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        handle.run(np.array([1], np.int32), logits)
    handle._library = native
    assert session.position == 1
    session.decode(2)


def test_a_handler_of_a_signal_may_close_the_session_that_it_interrupts(tiny_bundle):
    session = Session(tiny_bundle, threads=2)
    native = session._library

    class Closing:
        def call(self, *arguments):
            session._handle._library = native
            native.call(*arguments)
            session.close()

    session._handle._library = Closing()
    assert np.isfinite(session.decode(1)).all()
    with pytest.raises(SessionError, match="closed"):
        session.decode(1)


@pytest.mark.parametrize("disturb", [lambda s: s.decode(1), lambda s: s.reset()])
def test_other_tokens_end_a_generation(session, disturb):
    generation = session.generate([5], max_new_tokens=5)
    next(generation)
    disturb(session)
    with pytest.raises(SessionError, match="ran other tokens since"):
        next(generation)


FORK = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads
from ossc.runtimes import Session
from ossc.targets.errors import SessionError
session = Session(sys.argv[1], threads=2)
session.decode(1)
child = os.fork()
if child == 0:
    try:
        session.decode(1)
    except SessionError as error:
        print(error, flush=True)
    session.close()
    with Session(sys.argv[1], threads=2) as own:
        own.decode(1)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
session.decode(1)
print(session.position)
"""


def test_a_forked_process_is_told_and_can_open_its_own(tiny_bundle):
    finished = subprocess.run(
        [sys.executable, "-c", FORK, tiny_bundle], capture_output=True, text=True, check=True
    )
    message, position = finished.stdout.splitlines()
    assert "before this process was forked" in message
    assert position == "2"


def test_a_weights_file_that_is_cut_while_mapped_is_reported(tiny_bundle):
    with Session(tiny_bundle, threads=2) as session, Session(tiny_bundle, threads=1) as other:
        session.decode(1)
        os.truncate(tiny_bundle / "weights.bin", 0)
        for user in (session, session, other):
            with pytest.raises(BundleError, match=r"weights\.bin was cut, .* since it was opened"):
                user.prefill([5, 1, 30, 30, 2, 0])
        assert session.position == 1


def test_logits_that_are_no_numbers_are_not_handed_out(tiny_bundle):
    path = tiny_bundle / "weights.bin"
    weights = np.fromfile(path, np.float32)
    weights[5] = np.nan
    weights.tofile(path)
    with Session(tiny_bundle, threads=1) as session:
        with pytest.raises(SessionError, match=r"not numbers: .* `ossc verify BUNDLE`"):
            next(session.generate([1]))
        assert session.position == 0


LIMITS = """
import resource, sys
from ossc.runtimes import Session
from ossc.targets.errors import OsscError
kind = getattr(resource, sys.argv[2])
room = int(sys.argv[3])
if kind == resource.RLIMIT_AS:
    room += int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(kind, (room, room))
try:
    with Session(sys.argv[1], threads=1) as session:
        session.prefill([1])
    print("done")
except OsscError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("kind", "room", "advice"), [("RLIMIT_NOFILE", 3, "ulimit -n"), ("RLIMIT_AS", 0, "ulimit -v")]
)
def test_limits_of_the_process_are_named(tiny_bundle, kind, room, advice):
    command = [sys.executable, "-c", LIMITS, tiny_bundle, kind, str(room)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert advice in finished.stdout, finished.stderr
