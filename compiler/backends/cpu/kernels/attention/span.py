"""Ranges of neighbouring positions."""

from dataclasses import dataclass

import tvm

from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.kernel import Expr


@dataclass(frozen=True, kw_only=True)
class Span:
    """Positions, or keys of a tile, from ``begin`` up to but without ``end``."""

    begin: Expr
    end: Expr

    def within(self, first: Expr, count: int) -> "Span":
        """Return the part that lies in the ``count`` from ``first`` on, counted from there."""
        begin = v.keep(v.maximum(self.begin - first, 0))
        end = v.keep(tvm.tirx.Min(self.end - first, v.constant(count, "int32")))
        return Span(begin=begin, end=end)
