"""SIGINT, noticed once."""

import signal
import threading

import pytest

from ossc.runtimes.interrupt import noticed_interrupt


def test_the_first_one_is_noticed_and_the_second_one_is_python_s():
    before = signal.getsignal(signal.SIGINT)
    with noticed_interrupt() as came:
        assert not came()
        signal.raise_signal(signal.SIGINT)
        assert came()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_something_can_be_done_at_the_first_one():
    done = []
    with noticed_interrupt(lambda: done.append(1)):
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert done == [1]


def test_the_handler_from_before_comes_back_without_a_signal():
    before = signal.getsignal(signal.SIGINT)
    with noticed_interrupt() as came:
        assert signal.getsignal(signal.SIGINT) is not before
    assert not came()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_process_that_ignores_it_still_does():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with noticed_interrupt() as came:
            signal.raise_signal(signal.SIGINT)
            assert not came()
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_than_the_main_one_install_nothing():
    seen = []

    def enter():
        with noticed_interrupt() as came:
            seen.append((came(), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [(False, signal.getsignal(signal.SIGINT))]
