"""Choosing a token from logits, in C, so that bundles draw alike with and without Python."""

import ctypes
from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from ossc.runtimes.library import Library, SamplerOptions


class SamplerArguments(TypedDict, total=False):
    """Arguments of :class:`Sampler`."""

    temperature: float
    top_p: float
    seed: int
    top_k: int
    min_p: float
    repeat_penalty: float


class Sampler:
    """Draws token ids: greedy, with temperature, among the likeliest, from a seed."""

    def __init__(
        self,
        library: Library,
        *,
        temperature: float = 0.0,
        top_p: float = 1.0,
        seed: int = 0,
        top_k: int = 0,
        min_p: float = 0.0,
        repeat_penalty: float = 1.0,
    ) -> None:
        """Make a sampler.

        Args:
            library: The runtime of a session.
            temperature: 0 takes the largest logit, the lowest id of equals.
            top_p: Draw among the fewest tokens that have this probability together.
            seed: Equal seeds draw equal tokens from equal logits.
            top_k: Draw among so many of the likeliest tokens; 0 is all.
            min_p: Draw no token with less than this share of the likeliest one's probability.
            repeat_penalty: Logits of accepted tokens are divided by it, negative ones multiplied.

        Raises:
            SessionError: An option is out of range.
        """
        self._handle = ctypes.c_void_p()
        options = SamplerOptions(temperature, top_p, seed % 2**64, top_k, min_p, repeat_penalty)
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

    def accept(self, token_ids: Sequence[int]) -> None:
        """Take note of tokens for the repeat penalty: those of the prompt, and each that follows.

        Raises:
            SessionError: One is negative.
        """
        ids = np.asarray(token_ids, np.int32)
        pointer = ids.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
        self._library.call("ossc_sampler_accept", self._handle, pointer, ids.size)

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
