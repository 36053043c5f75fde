"""Gated linear units in float64."""

import math

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.lowering.glu import Glu


def gated(glu: Glu, gate: NDArray, up: NDArray) -> NDArray[np.float64]:
    """Return what gates and ups become."""
    gate, up = gate.astype(np.float64), up.astype(np.float64)
    if glu.kind == "swiglu_oss":
        gate, up = np.minimum(gate, glu.limit), np.clip(up, -glu.limit, glu.limit) + 1
    return up * activated(glu, gate)


def activated(glu: Glu, gate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the function of the gate."""
    if glu.kind == "gelu":
        return gate * np.vectorize(lambda x: math.erfc(-x / math.sqrt(2)) / 2)(gate)
    if glu.kind == "gelu_tanh":
        return gate * _sigmoid(2 * math.sqrt(2 / math.pi) * (gate + 0.044715 * gate**3))
    return gate * _sigmoid(gate * (1 if glu.alpha is None else glu.alpha))


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (1 + tanh(x / 2)) / 2, without its cancellation for the very negative."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))
