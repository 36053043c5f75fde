"""SIGINT during a generation: what came so far is kept."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def noticed_interrupt(act: Callable[[], None] = lambda: None) -> Iterator[Callable[[], bool]]:
    """Let the first SIGINT only be noticed; a second one does what it did before.

    Args:
        act: Called when the first one comes.

    Yields:
        Whether one came. Never, where Python handles no SIGINT: in other threads than the main one,
        and in a process that ignores it.
    """
    came = threading.Event()
    previous = signal.getsignal(signal.SIGINT)

    def notice(_number: int, _frame: FrameType | None) -> None:
        came.set()
        signal.signal(signal.SIGINT, previous)
        act()

    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield came.is_set
        return
    signal.signal(signal.SIGINT, notice)
    try:
        yield came.is_set
    finally:
        signal.signal(signal.SIGINT, previous)
