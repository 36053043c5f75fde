"""Running a bundle from Python: logits for tokens, and tokens for tokens."""

import ctypes
import os
from collections.abc import Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

import numpy as np
from numpy.typing import NDArray

from ossc.runtimes.bundle import LIBRARY_NAME, Bundle
from ossc.runtimes.finish_reason import FinishReason
from ossc.runtimes.generation import generate_tokens
from ossc.runtimes.kv_type import KV_TYPES, KvType
from ossc.runtimes.library import Library, ModelOptions, ProcessMemory, SessionOptions
from ossc.runtimes.machine_check import check_machine
from ossc.runtimes.manifest import Manifest
from ossc.runtimes.plan import Plan
from ossc.runtimes.sampler import Sampler, SamplerArguments, as_floats
from ossc.runtimes.weights_mode import WEIGHTS_MODES, WeightsMode
from ossc.targets.errors import BundleError, SessionError
from ossc.targets.machine import this_machine


class Session:
    """One sequence of tokens on a bundle's model, its KV caches and its threads.

    A call that fails changes nothing. A session belongs to one thread at a time.
    """

    def __init__(
        self,
        bundle: str | os.PathLike[str],
        threads: int | None = None,
        weights: WeightsMode = "mapped",
        kv: KvType | None = None,
        *,
        record_routing: bool = False,
    ) -> None:
        """Check a bundle and make it ready to run.

        Args:
            bundle: The bundle's directory. Manifest, sizes and the hashes of all files but
                ``weights.bin`` are checked before any of its code is loaded.
            threads: Threads that compute; None is one for each CPU of this process.
            weights: How the weights are held in memory.
            kv: The type of the KV caches: f32, f16 or int8; None is the bundle's default.
            record_routing: Keep the experts that each call chooses, for :meth:`router_indices`.

        Raises:
            BundleError: The bundle is damaged, incomplete or of another version.
            SessionError: This machine cannot run it, or an argument is wrong.
        """
        self._handle = self._model = ctypes.c_void_p()
        if weights not in WEIGHTS_MODES:
            raise SessionError(f"weights is {weights!r}; it has to be mapped or resident.")
        if threads is not None and threads < 1:
            raise SessionError(f"threads is {threads}; it has to be 1 or more, or None.")
        if kv is not None and kv not in KV_TYPES:
            raise SessionError(f"kv is {kv!r}; it has to be one of {', '.join(KV_TYPES)}, or None.")
        self._bundle = Bundle.open(Path(bundle), kv=kv)
        check_machine(self._bundle.manifest.target, this_machine())
        if LIBRARY_NAME not in self._bundle.manifest.files:
            raise BundleError(f"{bundle} has no {LIBRARY_NAME}; compile the model again.")
        self._library = Library(self._bundle.path / LIBRARY_NAME)
        model_options = ModelOptions(WEIGHTS_MODES.index(weights), KV_TYPES.index(self.kv) + 1)
        self._open(SessionOptions(threads or 0, record_routing), model_options)

    def _open(self, options: SessionOptions, model_options: ModelOptions) -> None:
        directory = os.fsencode(self._bundle.path)
        self._model = self._library.create(
            "ossc_model_open", directory, ctypes.byref(model_options)
        )
        self._handle = self._library.create(
            "ossc_session_create", self._model, ctypes.byref(options)
        )

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
        return self._library.integer("ossc_session_position", self._open_handle())

    @property
    def threads(self) -> int:
        """Threads that compute."""
        return self._library.integer("ossc_session_threads", self._open_handle())

    def prefill(self, token_ids: Sequence[int], all_logits: bool = False) -> NDArray[np.float32]:
        """Run tokens from the current position on.

        Args:
            token_ids: At least one.
            all_logits: Whether to return the logits of every token.

        Returns:
            ``[vocab_size]`` of the last token, or ``[len(token_ids), vocab_size]``.

        Raises:
            SessionError: There is no token, one is not in the vocabulary, or they do not fit into
                the context.
        """
        ids = self._checked_ids(token_ids)
        shape = (len(ids), self.vocab_size) if all_logits else (self.vocab_size,)
        logits = np.empty(shape, np.float32)
        name = "ossc_session_prefill_all" if all_logits else "ossc_session_prefill"
        pointer = ids.ctypes.data_as(ctypes.POINTER(ctypes.c_int32))
        self._library.call(name, self._open_handle(), pointer, len(ids), as_floats(logits))
        return logits

    def decode(self, token_id: int) -> NDArray[np.float32]:
        """Run one token.

        Returns:
            ``[vocab_size]``.

        Raises:
            SessionError: The token is not in the vocabulary, or the context is full.
        """
        return self.prefill([token_id])

    def reset(self) -> None:
        """Forget all tokens: the next one has position 0."""
        self._library.call("ossc_session_reset", self._open_handle())

    def router_indices(self) -> NDArray[np.int32]:
        """The experts that the last prefill or decode chose.

        Returns:
            ``[len(plan.router_layers), n_tokens, num_experts_per_tok]``.

        Raises:
            SessionError: The session does not record them, or ran nothing yet.
        """
        indices, n_tokens = ctypes.POINTER(ctypes.c_int32)(), ctypes.c_size_t()
        pointers = ctypes.byref(indices), ctypes.byref(n_tokens)
        self._library.call("ossc_session_router_indices", self._open_handle(), *pointers)
        layers, k = len(self.plan.router_layers), self.plan.num_experts_per_tok
        if not layers:
            return np.empty((0, n_tokens.value, 0), np.int32)
        return np.ctypeslib.as_array(indices, (layers, n_tokens.value, k)).copy()

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

        Args:
            token_ids: The prompt, run from the current position on.
            max_new_tokens: Most tokens to give out; None is as many as the context holds.
            options: Temperature and the rest, see :class:`Sampler`; greedy by default.

        Returns:
            Why it ended, for those who drive the generator by hand.

        Raises:
            SessionError: The prompt is refused, or an option is out of range.
        """
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
        """Release memory and threads; nothing else may be called afterwards."""
        if self._handle:
            self._library.release("ossc_session_destroy", self._handle)
        if self._model:
            self._library.release("ossc_model_close", self._model)
        self._handle = self._model = ctypes.c_void_p()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def _open_handle(self) -> ctypes.c_void_p:
        if not self._handle:
            raise SessionError("The session is closed; open another one.")
        return self._handle

    def _checked_ids(self, token_ids: Sequence[int]) -> NDArray[np.int32]:
        ids = np.asarray(token_ids)
        if ids.ndim != 1 or (ids.size and not np.issubdtype(ids.dtype, np.integer)):
            raise SessionError("token_ids is not a list of integers; give one.")
        for token_id in (ids.min(initial=0), ids.max(initial=0)):
            if not 0 <= token_id < self.vocab_size:
                raise SessionError(
                    f"Token id {token_id} is not in the vocabulary of {self.vocab_size}; give ids "
                    f"from 0 to {self.vocab_size - 1}."
                )
        return ids.astype(np.int32)
