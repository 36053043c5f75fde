"""Who may call into a handle, and when it may be released."""

import threading

import pytest

from ossc.runtimes import call_lock
from ossc.runtimes.call_lock import CallLock
from ossc.targets.errors import SessionError


class Caller:
    """A thread in the middle of a call."""

    def __init__(self, lock):
        self._started, self._may_end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._call, args=(lock,))

    def _call(self, lock):
        with lock.calling():
            self._started.set()
            self._may_end.wait()

    def __enter__(self):
        self._thread.start()
        self._started.wait()
        return self

    def end(self):
        """Let the call end, and wait for it."""
        self._may_end.set()
        self._thread.join()

    def __exit__(self, *_):
        self.end()


def test_a_second_thread_is_refused_at_once_and_may_call_afterwards():
    lock = CallLock("session")
    refused = pytest.raises(SessionError, match="Another thread runs a call")
    with Caller(lock), refused, lock.calling():
        pass
    with lock.calling():
        pass


def test_a_release_waits_for_the_call_of_another_thread():
    lock, order = CallLock("session"), []

    def release():
        with lock.releasing() as is_ours:
            order.append(is_ours)

    with Caller(lock) as caller:
        thread = threading.Thread(target=release)
        thread.start()
        order.append("called")
        caller.end()
        thread.join()
    assert order == ["called", True]


def test_a_call_that_fails_has_ended():
    lock = CallLock("session")
    with pytest.raises(ValueError, match="inside"), lock.calling():
        raise ValueError("inside")
    with Caller(lock):
        pass


def test_a_thread_does_not_exclude_itself():
    """As when the handler of a signal closes a session that the same thread uses."""
    lock = CallLock("session")
    with lock.calling(), lock.releasing() as is_ours:
        assert is_ours


def test_a_forked_process_is_refused_and_releases_nothing(monkeypatch):
    lock = CallLock("session")
    with Caller(lock):
        monkeypatch.setattr(call_lock.os, "getpid", lambda: -1)
        with pytest.raises(SessionError, match="before this process was forked"), lock.calling():
            pass
        with lock.releasing() as is_ours:
            assert not is_ours
        monkeypatch.undo()
