"""Runs a model token by token in onnxruntime: what compiled bundles are compared with."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from ossc.compiler.dialect.call import calls_in
from ossc.compiler.oracle.session import ort_session
from ossc.compiler.passes.take_rotary_positions import ROTARY_POSITIONS
from ossc.compiler.passes.take_routing import CHOSEN_EXPERTS, ROUTER_SHORTFALL
from ossc.compiler.quantization.mixed_experts import MixedExperts


@dataclass(frozen=True, kw_only=True)
class ReferenceOutputs:
    """What one or several calls computed."""

    logits: NDArray[np.float32]
    """``[n_tokens, vocab_size]``"""
    router_indices: NDArray[np.int64]
    """``[routers, n_tokens, num_experts_per_tok]``: the chosen experts"""
    router_shortfall: NDArray[np.float32] | None = None
    """``[num_hidden_layers, n_tokens]``: after ``TakeRouting``, by how much the smallest logit of
    the given experts is below the smallest of the router's own choice"""


class ReferenceSession:
    """A model at any stage of the passes with its KV cache; one sequence."""

    def __init__(self, model: ir.Model) -> None:
        """Open the model; its weights stay mapped."""
        self._session = ort_session(model)
        self._inputs: dict[str, list[Any]] = {
            value.name: value.shape for value in self._session.get_inputs()
        }
        self._outputs: list[str] = [value.name for value in self._session.get_outputs()]
        self.reset()

    def reset(self) -> None:
        """Forget all tokens."""
        self.position = 0
        self._past = {
            name: np.zeros((1, shape[1], 0, shape[3]), np.float32)
            for name, shape in self._inputs.items()
            if name.startswith("past_key_values.")
        }

    def run(
        self,
        token_ids: Sequence[int],
        chosen_experts: NDArray[Any] | None = None,
        rotary_positions: Sequence[int] | None = None,
    ) -> ReferenceOutputs:
        """Compute tokens that follow those before, all of them in one call.

        Args:
            token_ids: At least one.
            chosen_experts: ``[num_hidden_layers, n_tokens, num_experts_per_tok]``, for a model that
                takes them as inputs.
            rotary_positions: One a token, for a model that takes them as an input.

        Returns:
            Logits and chosen experts of every token.
        """
        n_tokens = len(token_ids)
        feeds = {
            "input_ids": np.array([token_ids], np.int64),
            "position_ids": np.arange(self.position, self.position + n_tokens)[None],
            **self._past,
        }
        if "row_indices" in self._inputs:
            feeds["row_indices"] = np.arange(n_tokens)
        if rotary_positions is not None:
            feeds[ROTARY_POSITIONS] = np.array([rotary_positions], np.int64)
        for layer, experts in enumerate(() if chosen_experts is None else chosen_experts):
            feeds[f"{CHOSEN_EXPERTS}.{layer}"] = experts.astype(np.int64)
        values = self._session.run(self._outputs, feeds)
        outputs: dict[str, NDArray[Any]] = dict(zip(self._outputs, values, strict=True))
        self.position += n_tokens
        self._past = {
            name: outputs[name.replace("past_key_values", "present")] for name in self._past
        }
        logits = outputs["logits"]
        shortfalls = _of_layers(outputs, ROUTER_SHORTFALL)
        return ReferenceOutputs(
            logits=logits.reshape(n_tokens, logits.shape[-1]),
            router_indices=_stacked(_of_layers(outputs, "router_indices"), n_tokens),
            router_shortfall=np.stack(shortfalls) if shortfalls else None,
        )


def _of_layers(outputs: Mapping[str, NDArray[Any]], name: str) -> list[NDArray[Any]]:
    return [values for key, values in outputs.items() if key.startswith(f"{name}.")]


def _stacked(layers: list[NDArray[Any]], n_tokens: int) -> NDArray[np.int64]:
    """Return the choices of all layers; ``[0, n_tokens, 0]`` of a model without routers."""
    return np.stack(layers) if layers else np.zeros((0, n_tokens, 0), np.int64)


def gathered_bytes(model: ir.Model) -> int:
    """Return how many bytes of float32 matrices one token's experts are, in the largest layer.

    Experts in several formats are dequantized in each of them.
    """
    sizes: Counter[int] = Counter()  # by the choice of experts
    for call in calls_in(model, "ExpertLinear", "ExpertGlu"):
        if call.format is not None:
            indices = call.input("indices")
            shape = call.format.weight_shape(
                tuple(tuple(p.shape.numpy()) for p in call.parts if p.shape)
            )
            k = int(str(indices.shape[-1])) if indices.shape else 1
            forms = len(call.format.formats) if isinstance(call.format, MixedExperts) else 1
            sizes[id(indices)] += 4 * k * math.prod(shape[1:]) * forms
    return max(sizes.values(), default=0)


def reference_logits(
    model: ir.Model,
    token_ids: Sequence[int],
    *,
    tokens_a_run: int | None = None,
    chosen_experts: NDArray[Any] | None = None,
    rotary_positions: Sequence[int] | None = None,
) -> ReferenceOutputs:
    """Compute a sequence from its start.

    Args:
        model: At any stage of the passes.
        token_ids: At least one.
        tokens_a_run: How many to compute at once, by default all. The weights of every token's
            experts are held at once in float32: 0.4 GB a token for gpt-oss's shapes.
        chosen_experts: See :meth:`ReferenceSession.run`.
        rotary_positions: See :meth:`ReferenceSession.run`.

    Returns:
        Logits and chosen experts of every token.
    """
    session = ReferenceSession(model)
    step = tokens_a_run or len(token_ids)
    runs = []
    for begin in range(0, len(token_ids), step):
        tokens = slice(begin, begin + step)
        experts = None if chosen_experts is None else chosen_experts[:, tokens]
        positions = None if rotary_positions is None else rotary_positions[tokens]
        runs.append(session.run(token_ids[tokens], experts, positions))
    return _concatenated(runs)


def _concatenated(runs: Sequence[ReferenceOutputs]) -> ReferenceOutputs:
    shortfalls = [run.router_shortfall for run in runs if run.router_shortfall is not None]
    return ReferenceOutputs(
        logits=np.concatenate([run.logits for run in runs]),
        router_indices=np.concatenate([run.router_indices for run in runs], axis=1),
        router_shortfall=np.concatenate(shortfalls, axis=1) if shortfalls else None,
    )
