"""Who may call into a handle of the C runtime, and when it may be released."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ossc.targets.errors import SessionError


class CallLock:
    """One thread's calls at a time, in the process that made the handle.

    Another thread is refused at once; a release waits for it. A thread does not exclude itself:
    Python runs the handler of a signal between its calls, never within one.
    """

    def __init__(self, what: str) -> None:
        """Make a lock.

        Args:
            what: The kind of handle, such as ``session``.
        """
        self._what = what
        self._lock = threading.RLock()
        self._process = os.getpid()

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Hold the lock for a call.

        Raises:
            SessionError: Another thread holds it, or the process was forked since.
        """
        if self._was_forked():
            raise SessionError(
                f"The {self._what} was made before this process was forked, and its threads stayed "
                "behind; open another one here."
            )
        if not self._lock.acquire(blocking=False):
            raise SessionError(
                f"Another thread runs a call on this {self._what}; wait for it, or give each "
                f"thread a {self._what} of its own."
            )
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def releasing(self) -> Iterator[bool]:
        """Wait until no other thread calls; yields whether the handle is this process's."""
        if self._was_forked():
            yield False
            return
        with self._lock:
            yield True

    def _was_forked(self) -> bool:
        return self._process != os.getpid()
