"""Choosing a token from logits, in C, so that bundles draw alike with and without Python."""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossc.runtimes.arguments import real_number, whole_number
from ossc.runtimes.call_lock import CallLock
from ossc.runtimes.library import Library, SamplerOptions
from ossc.targets.errors import SessionError


class Sampler:
    """Draws token ids: greedy, with temperature, among the likeliest, from a seed."""

    def __init__(
        self, library: Library, *, temperature: float = 0.0, top_p: float = 1.0, seed: int = 0
    ) -> None:
        """Make a sampler.

        Args:
            library: The runtime of a session.
            temperature: 0 takes the largest logit, the lowest id of equals.
            top_p: Draw among the fewest tokens that have this probability together.
            seed: Equal seeds draw equal tokens from equal logits; from 0 to 2⁶⁴ - 1.

        Raises:
            SessionError: An option is out of range.
        """
        self._handle = ctypes.c_void_p()
        self._calls = CallLock("sampler")
        options = SamplerOptions(
            real_number("temperature", temperature),
            real_number("top_p", top_p),
            whole_number("seed", seed, 0, 2**64 - 1),
        )
        self._library = library
        self._handle = library.create("ossc_sampler_create", ctypes.byref(options))

    def sample(self, logits: NDArray[np.float32]) -> int:
        """Choose a token.

        Args:
            logits: ``[vocab_size]``.

        Raises:
            SessionError: No logit is a number, or the sampler is closed.
        """
        values = np.ascontiguousarray(logits, np.float32)
        with self._calls.calling():
            if not self._handle:
                raise SessionError("The sampler is closed; make another one.")
            return self._library.integer(
                "ossc_sampler_sample", self._handle, as_floats(values), values.size
            )

    def close(self) -> None:
        """Release the sampler, once no other thread draws; later draws are refused."""
        with self._calls.releasing() as is_ours:
            pointer = ctypes.c_void_p(self._handle.value)
            self._handle.value = None
            if is_ours and pointer:
                self._library.release("ossc_sampler_destroy", pointer)

    def __del__(self) -> None:
        self.close()


def as_floats(values: NDArray[np.float32]) -> Any:
    """The pointer to a float32 array, which the caller keeps alive."""
    return values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
