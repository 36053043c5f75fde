"""Which keys a token sees, and the scores and shares of a softmax over them.

The softmax is built up tile by tile (Milakov and Gimelshein 2018; FlashAttention): what is added up
so far is rescaled when a larger score comes. Scores are compared before they are scaled. The
largest score begins with a finite number, so it is finite before the first key.
"""

from dataclasses import dataclass

from tvm import tirx
from tvm.tirx.script import builder as T

from ossc.compiler.backends.gpu.expressions import f32, i32, select
from ossc.compiler.lowering.attention_shape import AttentionShape
from ossc.compiler.lowering.kernel import Buffer, Expr, KernelBuilder

NO_SCORE = float("-inf")
"""Of a key that is not seen."""

SMALLEST_SCORE = -3.4028234663852886e38
"""The smallest float32: below it is only the score of a key that is not seen."""


@dataclass(frozen=True)
class Span:
    """Positions from ``begin`` up to but without ``end``."""

    begin: Expr
    end: Expr

    @classmethod
    def seen(cls, shape: AttentionShape, position: Expr) -> "Span":
        """Return the positions that the token at a position sees."""
        return cls(begin=first_seen(shape, position), end=T.Bind(position + 1))

    def tiles(self, size: int) -> tuple[Expr, Expr]:
        """Return the number of the first tile of so many positions, and how many there are."""
        first = T.Bind(tirx.truncdiv(self.begin, i32(size)))
        return first, T.Bind(tirx.truncdiv(self.end - 1, i32(size)) + 1 - first)


def first_seen(shape: AttentionShape, position: Expr) -> Expr:
    """Return the first position that the token at a position sees."""
    if not shape.window:
        return i32(0)
    return T.Bind(tirx.Max(position - (shape.window - 1), i32(0)))


def declare_sinks(function: KernelBuilder, shape: AttentionShape) -> Buffer | None:
    """Add the sinks ``[num_heads]`` to a function, if there are any."""
    return function.buffer("sinks", "float32", shape.num_heads) if shape.sinks else None


@dataclass(frozen=True)
class Softmax:
    """The softmax of one head."""

    shape: AttentionShape
    sinks: Buffer | None

    def first_score(self, head: Expr) -> Expr:
        """Return the score, before scaling, that a head has before its first key.

        It is the sink, or where there is none a number that no score is below, whose exponential
        relative to a score is 0.
        """
        if self.sinks is None:
            return f32(SMALLEST_SCORE)
        return self.sinks[head] / f32(self.shape.scale)

    def share(self, score: Expr, largest: Expr) -> Expr:
        """Return exp of what a score, before scaling, is below the largest."""
        return tirx.exp((score - largest) * f32(self.shape.scale))

    def sink_term(self, head: Expr, largest: Expr) -> Expr:
        """Return the term of the sum to which no key belongs."""
        if self.sinks is None:
            return f32(0)
        return self.share(self.first_score(head), largest)


def larger(a: Expr, b: Expr) -> Expr:
    """Return b if it is larger, else a; NaN is not larger."""
    return select(b > a, b, a)
