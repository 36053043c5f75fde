"""What an attention kernel is built for, on every kind of device."""

import math
from dataclasses import dataclass
from typing import Self

from ossc.compiler.dialect.call import Call
from ossc.targets.errors import LoweringError


@dataclass(frozen=True, kw_only=True)
class AttentionShape:
    """Heads, and which keys they see.

    Raises:
        LoweringError: No kernel has such heads, or such a window or scale.
    """

    num_heads: int
    num_kv_heads: int
    head_dim: int

    window: int
    """Keys that a token sees at most; 0: all up to its own."""

    scale: float

    sinks: bool
    """Whether each head's softmax has a term, its sink, to which no key belongs."""

    def __post_init__(self) -> None:
        heads, kv_heads = self.num_heads, self.num_kv_heads
        if min(heads, kv_heads, self.head_dim) < 1 or heads % kv_heads:
            raise LoweringError(
                f"Attention has {heads} heads of {self.head_dim} columns on {kv_heads} key-value "
                "heads; it needs one column or more, and the same number of heads, one or more, "
                "on each key-value head."
            )
        if self.window < 0 or not (math.isfinite(self.scale) and self.scale > 0):
            raise LoweringError(
                f"Attention has the window {self.window} and the scale {self.scale}; the window "
                "is a number of keys, or 0 for all, and the scale a finite number above 0."
            )

    @classmethod
    def of(cls, call: Call) -> Self:
        """Return that of a node of attention."""
        sizes = ("num_heads", "num_kv_heads", "head_dim", "window")
        return cls(
            **{name: call.integer(name) for name in sizes},
            scale=call.number("scale"),
            sinks="sinks" in call.options,
        )

    @property
    def operation(self) -> str:
        """The name of attention of this shape, in costs and symbols."""
        return "sink_attention" if self.sinks else "attention"

    @property
    def shared(self) -> int:
        """Query heads that share a key-value head."""
        return self.num_heads // self.num_kv_heads

    @property
    def symbol(self) -> str:
        """The part of a kernel's name that stands for the shape."""
        heads = f"{self.num_heads}x{self.num_kv_heads}x{self.head_dim}"
        sinks = "" if self.sinks else "_no_sinks"
        return f"{heads}_{self.window}_{self.scale}{sinks}"
