"""What this process does on Ctrl-C, kept where a library changes it."""

import ctypes
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_ACTION_BYTES = 512
"""More than any C library's ``struct sigaction`` takes."""


@contextmanager
def kept_interrupt_action() -> Iterator[None]:
    """Put back what SIGINT does once the body has ended, to the last flag.

    The prover Z3 inside of TVM takes SIGINT over while it works on sizes that are no numbers, and
    NVRTC while it compiles. They give it back with ``signal``: system calls that a Ctrl-C should
    end are then begun again, and the second Ctrl-C waits like the first; of two threads that do so
    at once, one may give back what the other one took. What an interruption of the body itself set
    stays.
    """
    sigaction = getattr(ctypes.CDLL(None), "sigaction", None)
    if sigaction is None:
        yield
        return
    action = ctypes.create_string_buffer(_ACTION_BYTES)
    sigaction(int(signal.SIGINT), None, action)
    yield
    sigaction(int(signal.SIGINT), action, None)
