"""Runs llama.cpp for the benchmark; speaks the protocol of ``ossc-run --measure``.

It runs with the Python of the peer's environment, which has ``llama-cpp-python`` and not ossc::

    PYTHONPATH=tests PEER/bin/python -m benchmarks.beside.llama_cpp_driver MODEL.gguf --threads 2

Times are those of ``llama_decode`` alone; the greatest logit is looked for outside of them.
"""

import argparse
import ctypes
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

from benchmarks.beside.llama_cpp_state import lengthen_state

SEED_TOKENS = 64
"""Tokens that are run to fill a context; the rest of it repeats their keys and values."""

SPARE_CONTEXT = 256
"""Positions that are left behind a filled context."""


class LlamaCpp:
    """A model and one sequence."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Load the model and make a context.

        Raises:
            RuntimeError: llama.cpp refuses the file or the options.
        """
        self._options = options
        self._threads = options.threads
        self._peak_anonymous_bytes = 0
        begin = time.perf_counter()
        llama_cpp.llama_backend_init()
        self._model = self._load()
        self._vocab_size = llama_cpp.llama_vocab_n_tokens(
            llama_cpp.llama_model_get_vocab(self._model)
        )
        self._context: Any = None
        self._make_context(options.context)
        self.load_s = time.perf_counter() - begin

    def _load(self) -> Any:
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        mmap = self._options.mmap
        params.load_mode = llama_cpp.LLAMA_LOAD_MODE_MMAP if mmap else 0
        params.use_extra_bufts = self._options.repack
        path = str(self._options.model).encode()
        model = llama_cpp.llama_model_load_from_file(path, params)
        if not model:
            raise RuntimeError(f"llama.cpp cannot load {self._options.model}.")
        return model

    def _make_context(self, length: int) -> None:
        if self._context:
            llama_cpp.llama_free(self._context)
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = length
        params.n_batch = max(self._options.ubatch, 2048)
        params.n_ubatch = self._options.ubatch
        params.n_outputs_max = 1
        params.swa_full = False  # sliding layers keep their window only, as llama.cpp's programs do
        params.n_threads = params.n_threads_batch = self._threads
        params.flash_attn_type = int(self._options.flash_attention)
        params.type_k = params.type_v = {"f16": 1, "q8_0": 8}[self._options.kv]
        self._context = llama_cpp.llama_init_from_model(self._model, params)
        if not self._context:
            raise RuntimeError("llama.cpp refuses these options.")

    def hello(self, started_ns: int, interpreter_bytes: int) -> dict[str, Any]:
        """The first line.

        Args:
            started_ns: When the program's own code began, on the monotonic clock.
            interpreter_bytes: Anonymous memory of Python and its modules.
        """
        version = llama_cpp.__version__
        return {
            "protocol": 1,
            "load_s": self.load_s,
            "threads": self._threads,
            "started_ns": started_ns,
            "interpreter_bytes": interpreter_bytes,
            "target": f"llama-cpp-python {version}, {llama_cpp.llama_version().decode()}",
            "system": llama_cpp.llama_print_system_info().decode(),
        }

    def threads(self, count: int) -> dict[str, Any]:
        """Compute with so many threads from now on, from position 0 on."""
        self._threads = count
        llama_cpp.llama_set_n_threads(self._context, count, count)
        return self.reset()

    def reset(self) -> dict[str, Any]:
        """Forget all tokens."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        return {}

    def fill(self, length: int) -> dict[str, Any]:
        """Stand at a position as if so many tokens had run."""
        if llama_cpp.llama_n_ctx(self._context) < length + SPARE_CONTEXT:
            self._make_context(length + SPARE_CONTEXT)
        self.reset()
        self._run(range(SEED_TOKENS))
        size = llama_cpp.llama_state_seq_get_size(self._context, 0)
        buffer = (ctypes.c_uint8 * size)()
        llama_cpp.llama_state_seq_get_data(self._context, buffer, size, 0)
        window = llama_cpp.llama_model_n_swa(self._model)
        state = lengthen_state(bytes(buffer), length, window)
        self.reset()
        pointer = ctypes.cast(ctypes.c_char_p(state), ctypes.POINTER(ctypes.c_uint8))
        if not llama_cpp.llama_state_seq_set_data(self._context, pointer, len(state), 0):
            raise RuntimeError("llama.cpp refuses the lengthened state.")
        return {"how": f"the keys and values of {SEED_TOKENS} tokens, repeated"}

    def prefill(self, *ids: int) -> dict[str, Any]:
        """Run tokens in one call."""
        seconds = self._run(ids)
        return {"seconds": seconds, "argmax": self._argmax()}

    def decode(self, *ids: int) -> dict[str, Any]:
        """Run tokens, each in a call of its own."""
        seconds, argmax = [], []
        for token_id in ids:
            seconds.append(self._run([token_id]))
            argmax.append(self._argmax())
        return {"seconds": seconds, "argmax": argmax}

    def logits(self) -> dict[str, Any]:
        """Return all logits of the last token."""
        return {"logits": [round(float(x), 5) for x in self._logits()]}

    def memory(self) -> dict[str, Any]:
        """Bytes of this process, now and at most; anonymous memory is sampled after each call."""
        status = read_status()
        self.sample_memory()
        return {
            "peak_rss_bytes": status["VmHWM"],
            "anonymous_bytes": status["RssAnon"],
            "peak_anonymous_bytes": self._peak_anonymous_bytes,
            "mapped_bytes": status["RssFile"],
        }

    def sample_memory(self) -> None:
        """Keep the most anonymous memory so far."""
        self._peak_anonymous_bytes = max(self._peak_anonymous_bytes, read_status()["RssAnon"])

    def _run(self, ids: Sequence[int]) -> float:
        """Run tokens; return the seconds.

        Raises:
            RuntimeError: llama.cpp refuses them: the context is full.
        """
        array = (ctypes.c_int32 * len(ids))(*ids)
        begin = time.perf_counter()
        status = llama_cpp.llama_decode(
            self._context, llama_cpp.llama_batch_get_one(array, len(ids))
        )
        seconds = time.perf_counter() - begin
        if status:
            raise RuntimeError(f"llama_decode failed with status {status}.")
        return seconds

    def _logits(self) -> Any:
        pointer = llama_cpp.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(pointer, (self._vocab_size,))

    def _argmax(self) -> int:
        return int(self._logits().argmax())


def read_status() -> dict[str, int]:
    """Return the memory fields of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = (line.split() for line in lines if line.endswith(" kB"))
    return {field[0].rstrip(":"): int(field[1]) << 10 for field in fields}


def answer(commands: dict[str, Callable[..., dict[str, Any]]], line: str) -> dict[str, Any]:
    """Do what one line asks for; an error is an answer too."""
    name, *arguments = line.split()
    if name not in commands:
        return {"error": f"There is no command {name}."}
    try:
        return commands[name](*map(int, arguments))
    except (RuntimeError, ValueError, TypeError) as reason:
        return {"error": str(reason)}


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--ubatch", type=int, default=512)
    parser.add_argument("--kv", choices=["f16", "q8_0"], default="f16")
    for name in ("flash-attention", "repack", "mmap"):
        parser.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


def main() -> None:
    """Load, say so, and answer line after line."""
    started_ns, interpreter_bytes = time.monotonic_ns(), read_status()["RssAnon"]
    llama = LlamaCpp(parse_options())
    names = ("threads", "reset", "fill", "prefill", "decode", "logits", "memory")
    commands = {name: getattr(llama, name) for name in names}
    print(json.dumps(llama.hello(started_ns, interpreter_bytes)), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(commands, line)), flush=True)
        llama.sample_memory()


if __name__ == "__main__":
    main()
