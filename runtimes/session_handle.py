"""A model and a session of the C runtime, with what may be done to them when."""

import ctypes
import weakref

import numpy as np
from numpy.typing import NDArray

from ossc.runtimes.call_lock import CallLock
from ossc.runtimes.library import Library, ModelOptions, SessionOptions
from ossc.runtimes.sampler import as_floats
from ossc.targets.errors import SessionError


class SessionHandle:
    """``ossc_session*`` and its ``ossc_model*``; released with the object.

    One thread at a time can call, as :class:`CallLock` says; position and threads may be read at
    any time.
    """

    def __init__(
        self, library: Library, directory: bytes, model: ModelOptions, session: SessionOptions
    ) -> None:
        """Open the bundle in a directory.

        Raises:
            BundleError: The bundle is damaged or of another version.
            SessionError: The system has not enough memory or threads, or an option is refused.
        """
        self._session, self._model = ctypes.c_void_p(), ctypes.c_void_p()
        self._calls = CallLock("session")
        self._library = library
        self._position = 0
        self._latest: weakref.ref[NDArray[np.float32]] | None = None  # logits of the last call
        self._model = library.create("ossc_model_open", directory, ctypes.byref(model))
        self._session = library.create("ossc_session_create", self._model, ctypes.byref(session))
        self._threads = library.integer("ossc_session_threads", self._session)

    @property
    def position(self) -> int:
        """Tokens run so far."""
        self._open_session()
        return self._position

    @property
    def threads(self) -> int:
        """Threads that compute."""
        self._open_session()
        return self._threads

    def run(
        self,
        token_ids: NDArray[np.int32],
        logits: NDArray[np.float32],
        after: NDArray[np.float32] | None = None,
    ) -> None:
        """Run tokens from the current position on.

        Args:
            token_ids: ``[n_tokens]``, each in the vocabulary.
            logits: Filled; ``[vocab_size]`` of the last token, or ``[n_tokens, vocab_size]``.
            after: Logits that have to be those of the last call.

        Raises:
            SessionError: The call is refused or fails, or other tokens ran since ``after``.
            BundleError: ``weights.bin`` was cut since it was opened.
        """
        name = "ossc_session_prefill_all" if logits.ndim == 2 else "ossc_session_prefill"
        pointer = token_ids.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
        with self._calls.calling():
            session = self._open_session()
            if after is not None and (self._latest is None or self._latest() is not after):
                raise SessionError(
                    "The session was reset or ran other tokens since the last one of this "
                    "generation; begin another generation, or use a session for each."
                )
            try:
                self._library.call(name, session, pointer, len(token_ids), as_floats(logits))
                self._latest = weakref.ref(logits)
            finally:  # an interrupt during the call is raised once it has run its tokens
                if session:  # its handler may have closed it
                    self._position = self._library.integer("ossc_session_position", session)

    def reset(self) -> None:
        """Forget all tokens.

        Raises:
            SessionError: The call is refused.
        """
        with self._calls.calling():
            self._library.call("ossc_session_reset", self._open_session())
            self._position = 0
            self._latest = None

    def router_indices(self, layers: int, experts_per_tok: int) -> NDArray[np.int32]:
        """The experts that the last call chose.

        Returns:
            ``[layers, n_tokens, experts_per_tok]``.

        Raises:
            SessionError: They are not recorded, nothing ran yet, or the call is refused.
        """
        indices, n_tokens = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t()
        pointers = ctypes.byref(indices), ctypes.byref(n_tokens)
        with self._calls.calling():
            self._library.call("ossc_session_router_indices", self._open_session(), *pointers)
            if not layers:
                return np.empty((0, n_tokens.value, 0), np.int32)
            return np.ctypeslib.as_array(indices, (layers, n_tokens.value, experts_per_tok)).copy()

    def close(self) -> None:
        """Release memory and threads, once no other thread calls; later calls are refused."""
        with self._calls.releasing() as is_ours:
            for name, handle in (
                ("ossc_session_destroy", self._session),
                ("ossc_model_close", self._model),
            ):
                pointer = ctypes.c_void_p(handle.value)
                handle.value = None  # in place: also where a call is about to use it
                if is_ours and pointer:
                    self._library.release(name, pointer)

    def __del__(self) -> None:
        self.close()

    def _open_session(self) -> ctypes.c_void_p:
        if not self._session:
            raise SessionError("The session is closed; open another one.")
        return self._session
