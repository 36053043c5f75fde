"""How signals end ossc: it cleans up as after Ctrl-C, and then dies of the signal itself.

1. SIGINT, SIGTERM and SIGHUP raise `KeyboardInterrupt` with the signal's number, once the main
   thread is back from a call into C. One that was ignored from the start, as under nohup, stays so.
2. A second SIGINT ends the process at once, even in such a call. What it would have removed stays;
   for a bundle, the next run removes it.
3. A second SIGTERM or SIGHUP does so too, but not within a second of the first: `timeout` sends
   two, and so does a terminal that closes.
"""

import ctypes
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType
from typing import NoReturn

from ossc.targets.errors import OutputError

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

SAME_REQUEST_S = 1.0
"""Two signals within this time are one request to end."""


class _Interruption:
    """Raises `KeyboardInterrupt` for the first signal, and ends the process at the next."""

    def __init__(self) -> None:
        self._began_s: float | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        now_s = time.monotonic()
        if self._began_s is None:
            self._began_s = now_s
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            raise KeyboardInterrupt(signal.Signals(number))
        if now_s - self._began_s > SAME_REQUEST_S:
            die_of(signal.Signals(number))


def interrupt_on_signals() -> None:
    """From now on signals end this process as this module describes; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        return
    interruption = _Interruption()
    for each in ENDING_SIGNALS:
        if signal.getsignal(each) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(each, interruption)
    if signal.getsignal(signal.SIGINT) is interruption:
        _let_the_system_handle_a_second(signal.SIGINT)


def signal_of(error: KeyboardInterrupt) -> signal.Signals | None:
    """Return the signal that raised an interruption, or None when it came from elsewhere."""
    return error.args[0] if error.args and isinstance(error.args[0], signal.Signals) else None


def die_of(number: signal.Signals) -> NoReturn:
    """End this process by a signal, as the shell that waits for it expects."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, OutputError, AttributeError, ValueError):  # closed, or full
            stream.flush()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(128 + number)  # the first process of a container outlives its own signals


def _let_the_system_handle_a_second(number: signal.Signals) -> None:
    """Keep a signal's handler for one time only, which Python itself does not offer."""
    sysv_signal = getattr(ctypes.CDLL(None), "sysv_signal", None)
    if sysv_signal is None:  # not glibc: then it waits for the end of a call into C
        return
    sysv_signal.restype, sysv_signal.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p)
    sysv_signal(number, sysv_signal(number, None))
