"""Choosing a token from logits, in C, so that bundles draw alike with and without Python."""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossc.runtimes.library import Library, SamplerOptions


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
            seed: Equal seeds draw equal tokens from equal logits.

        Raises:
            SessionError: An option is out of range.
        """
        self._handle = ctypes.c_void_p()
        options = SamplerOptions(temperature, top_p, seed % 2**64)
        self._library = library
        self._handle = library.create("ossc_sampler_create", ctypes.byref(options))

    def sample(self, logits: NDArray[np.float32]) -> int:
        """Choose a token.

        Args:
            logits: ``[vocab_size]``.

        Raises:
            SessionError: No logit is a number.
        """
        values = np.ascontiguousarray(logits, np.float32)
        return self._library.integer(
            "ossc_sampler_sample", self._handle, as_floats(values), values.size
        )

    def close(self) -> None:
        """Release the sampler; it must not be used again."""
        if self._handle:
            self._library.release("ossc_sampler_destroy", self._handle)
        self._handle = ctypes.c_void_p()

    def __del__(self) -> None:
        self.close()


def as_floats(values: NDArray[np.float32]) -> Any:
    """The pointer to a float32 array, which the caller keeps alive."""
    return values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
