"""Choosing a token from logits, in C, so that bundles draw alike with and without Python."""

import ctypes
from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from ossc.runtimes.arguments import real_number, whole_number
from ossc.runtimes.call_lock import CallLock
from ossc.runtimes.library import Library, SamplerOptions
from ossc.targets.errors import SessionError


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
            seed: Equal seeds draw equal tokens from equal logits; from 0 to 2⁶⁴ - 1.
            top_k: Draw among so many of the likeliest tokens; 0 is all.
            min_p: Draw no token with less than this share of the likeliest one's probability.
            repeat_penalty: Logits of accepted tokens are divided by it, negative ones multiplied.

        Raises:
            SessionError: An option is out of range.
        """
        self._handle = ctypes.c_void_p()
        self._calls = CallLock("sampler")
        options = SamplerOptions(
            real_number("temperature", temperature),
            real_number("top_p", top_p),
            whole_number("seed", seed, 0, 2**64 - 1),
            whole_number("top_k", top_k, 0, 2**31 - 1),
            real_number("min_p", min_p),
            real_number("repeat_penalty", repeat_penalty),
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
            return self._library.integer(
                "ossc_sampler_sample", self._open_handle(), as_floats(values), values.size
            )

    def accept(self, token_ids: Sequence[int]) -> None:
        """Take note of tokens for the repeat penalty: those of the prompt, and each that follows.

        Raises:
            SessionError: One is negative, or the sampler is closed.
        """
        ids = np.ascontiguousarray(token_ids, np.int32)
        pointer = ids.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
        with self._calls.calling():
            self._library.call("ossc_sampler_accept", self._open_handle(), pointer, ids.size)

    def _open_handle(self) -> ctypes.c_void_p:
        if not self._handle:
            raise SessionError("The sampler is closed; make another one.")
        return self._handle

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
