"""Running a bundle from Python: logits for tokens, and tokens for tokens."""

import ctypes
import os
from collections.abc import Generator, Sequence
from types import TracebackType
from typing import Self, Unpack

import numpy as np
from numpy.typing import NDArray

from ossc.runtimes.arguments import directory_path, token_id_array, whole_number
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.devices import device_name, load_library
from ossc.runtimes.finish_reason import FinishReason
from ossc.runtimes.generation import generate_tokens
from ossc.runtimes.kv_type import KV_TYPES, KvType
from ossc.runtimes.library import ModelOptions, ProcessMemory, SessionOptions
from ossc.runtimes.manifest import Manifest
from ossc.runtimes.plan import Plan
from ossc.runtimes.sampler import Sampler, SamplerArguments
from ossc.runtimes.session_handle import SessionHandle
from ossc.runtimes.thread_count import MAX_THREADS
from ossc.runtimes.weights_mode import WEIGHTS_MODES, WeightsMode
from ossc.targets.errors import SessionError


class Session:
    """One sequence of tokens on a bundle's model, its KV caches and its threads.

    A call that fails changes nothing. One thread at a time can call: another one gets a
    :class:`SessionError` at once, and a close waits. What is a property may be read at any time.
    A process that is forked has to open its own.
    """

    def __init__(
        self,
        bundle: str | os.PathLike[str],
        threads: int | None = None,
        weights: WeightsMode = "mapped",
        kv: KvType | None = None,
        *,
        device: str | None = None,
        record_routing: bool = False,
    ) -> None:
        """Check a bundle and make it ready to run.

        Args:
            bundle: The bundle's directory. Manifest, sizes and the hashes of all files but
                ``weights.bin`` are checked before any of its code is loaded.
            threads: Threads that compute; None is one for each CPU of this process.
            weights: How the weights are held in memory.
            kv: The type of the KV caches: f32, f16 or int8; None is the bundle's default.
            device: What runs it: ``KIND`` or ``KIND:WHICH``, with a number or a part of a name as
                :func:`~ossc.runtimes.devices.list_devices` has them; None is what ``OSSC_DEVICE``
                in the environment says, or else the best of the bundle's kind.
            record_routing: Keep the experts that each call chooses, for :meth:`router_indices`.

        Raises:
            BundleError: The bundle is damaged, incomplete or of another version.
            SessionError: This machine cannot run it, or an argument is wrong.
        """
        if weights not in WEIGHTS_MODES:
            raise SessionError(f"weights is {weights!r}; it has to be mapped or resident.")
        if threads is not None:
            threads = whole_number("threads", threads, 1, MAX_THREADS, ", or None")
        if kv is not None and kv not in KV_TYPES:
            raise SessionError(f"kv is {kv!r}; it has to be one of {', '.join(KV_TYPES)}, or None.")
        path = directory_path("bundle", bundle)
        try:
            self._bundle = Bundle.open(path, kv=kv)
            self._library = load_library(self._bundle)
            self._handle = SessionHandle(
                self._library,
                os.fsencode(path),
                ModelOptions(
                    WEIGHTS_MODES.index(weights),
                    KV_TYPES.index(self.kv) + 1,
                    None if device is None else device_name(device),
                ),
                SessionOptions(threads or 0, record_routing),
            )
        except MemoryError as error:
            raise SessionError(
                f"There is not enough memory to open {bundle}; close other programs, or allow more "
                "of it (ulimit -v)."
            ) from error

    @property
    def manifest(self) -> Manifest:
        """What the bundle says of itself."""
        return self._bundle.manifest

    @property
    def plan(self) -> Plan:
        """What the bundle executes."""
        return self._bundle.plan

    @property
    def kv(self) -> KvType:
        """The type of the KV caches."""
        return self._bundle.kv

    @property
    def vocab_size(self) -> int:
        """Token ids are below this."""
        return self.plan.vocab_size

    @property
    def context(self) -> int:
        """Positions that the session can hold."""
        return self.plan.context

    @property
    def position(self) -> int:
        """Tokens run so far, which is the position of the next one."""
        return self._handle.position

    @property
    def threads(self) -> int:
        """Threads that compute."""
        return self._handle.threads

    def prefill(self, token_ids: Sequence[int], all_logits: bool = False) -> NDArray[np.float32]:
        """Run tokens from the current position on.

        Args:
            token_ids: At least one.
            all_logits: Whether to return the logits of every token.

        Returns:
            ``[vocab_size]`` of the last token, or ``[len(token_ids), vocab_size]``.

        Raises:
            SessionError: There is no token, one is not in the vocabulary, they do not fit into the
                context, or the logits are not numbers.
            BundleError: ``weights.bin`` was cut since it was opened.
        """
        ids = token_id_array(token_ids, self.vocab_size)
        logits = self._empty_logits((len(ids),) if all_logits else ())
        self._handle.run(ids, logits)
        return logits

    def _empty_logits(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        try:
            return np.empty((*shape, self.vocab_size), np.float32)
        except MemoryError as error:
            raise SessionError(
                f"There is not enough memory for the logits of {shape[0] if shape else 1} tokens; "
                "give fewer tokens, or do not ask for all logits."
            ) from error

    def decode(
        self, token_id: int, *, after: NDArray[np.float32] | None = None
    ) -> NDArray[np.float32]:
        """Run one token.

        Args:
            token_id: In the vocabulary.
            after: Logits that the last call has to have returned: those that it was chosen from.

        Returns:
            ``[vocab_size]``.

        Raises:
            SessionError: The token is not in the vocabulary, the context is full, the logits are
                not numbers, or the session was reset or ran other tokens since ``after``.
            BundleError: ``weights.bin`` was cut since it was opened.
        """
        ids = token_id_array([token_id], self.vocab_size)
        logits = self._empty_logits(())
        self._handle.run(ids, logits, after)
        return logits

    def reset(self) -> None:
        """Forget all tokens: the next one has position 0."""
        self._handle.reset()

    def router_indices(self) -> NDArray[np.int32]:
        """The experts that the last prefill or decode chose.

        Returns:
            ``[len(plan.router_layers), n_tokens, num_experts_per_tok]``; -1 where a router chooses
            fewer than the most.

        Raises:
            SessionError: The session does not record them, or ran nothing yet.
        """
        layers, k = len(self.plan.router_layers), self.plan.num_experts_per_tok
        return self._handle.router_indices(layers, k)

    def sampler(self, **options: Unpack[SamplerArguments]) -> Sampler:
        """Make a sampler for this session's logits; see :class:`Sampler`.

        Raises:
            SessionError: An option is out of range.
        """
        return Sampler(self._library, **options)

    def generate(
        self,
        token_ids: Sequence[int],
        *,
        max_new_tokens: int | None = 128,
        **options: Unpack[SamplerArguments],
    ) -> Generator[int, None, FinishReason]:
        """Continue a prompt; ends at a stop token, which is not given out, or a full context.

        Whoever runs other tokens on the session between two of these ends the generation.

        Args:
            token_ids: The prompt, run from the current position on.
            max_new_tokens: Most tokens to give out; None is as many as the context holds.
            options: Temperature and the rest, see :class:`Sampler`; greedy by default.

        Returns:
            Why it ended, for those who drive the generator by hand.

        Raises:
            SessionError: The prompt is refused, an option is out of range, or other tokens ran.
        """
        if max_new_tokens is not None:
            whole_number("max_new_tokens", max_new_tokens, 0, 2**63 - 1)
        sampler = self.sampler(**options)
        try:
            return (yield from generate_tokens(self, token_ids, sampler, max_new_tokens))
        finally:
            sampler.close()

    def process_memory(self) -> tuple[int, int]:
        """Bytes of this process: peak RSS, and anonymous memory now; zeros where unknown."""
        memory = ProcessMemory()
        self._library.call("ossc_get_process_memory", ctypes.byref(memory))
        return memory.peak_rss_bytes, memory.anonymous_bytes

    def close(self) -> None:
        """Release memory and threads, once no other thread calls; later calls are refused."""
        self._handle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
