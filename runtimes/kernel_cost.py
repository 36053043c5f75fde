"""What a kernel moves and computes: bytes and operations, linear in the size of a call.

The compiler writes one cost for every kernel into the manifest. With a machine's limits
(``runtimes/profile/roofline.py``) they say how long a call must take at least.
"""

from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

from ossc.runtimes.strict_json import StrictObject
from ossc.targets.errors import BundleError

Arithmetic = Literal["f32", "int8", "int8x2", "copy"]
"""What a kernel computes with: float32, int8 with a scale for every 32 columns, two int8 terms for
each activation, or nothing that is worth counting."""

JOINT = "+"
"""Stands between the schemes of experts that are in several: ``mxfp4+int4-g32``."""

Kind = tuple[str, str | None, str]
"""Of a kernel: operation, scheme and arithmetic."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """The size of one call."""

    tokens: int

    experts: float = 0
    """Distinct experts that the tokens chose; an expected number need not be whole."""

    keys: int = 0
    """Distinct keys that the tokens see."""

    pairs: int = 0
    """Of a token and a key that it sees."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """An amount that grows with the size of a call."""

    fixed: int = 0
    per_token: int = 0
    per_expert: int = 0
    per_key: int = 0
    per_pair: int = 0

    def of(self, call: Call) -> float:
        """Return the amount of one call."""
        return self.streamed(call) + self.per_token * call.tokens + self.per_pair * call.pairs

    def streamed(self, call: Call) -> float:
        """Return the part that does not come from the steps before: weights and KV cache."""
        return self.fixed + self.per_expert * call.experts + self.per_key * call.keys

    @classmethod
    def read(cls, fields: StrictObject) -> Self:
        """Take the fields of a manifest.

        Raises:
            BundleError: They are not those of a work.
        """
        work = cls(
            fixed=fields.integer("fixed"),
            per_token=fields.integer("per_token"),
            per_expert=fields.integer("per_expert"),
            per_key=fields.integer("per_key"),
            per_pair=fields.integer("per_pair"),
        )
        fields.finish()
        return work


@dataclass(frozen=True, kw_only=True)
class KernelCost:
    """What one call of a kernel moves and computes."""

    operation: str
    """Such as ``linear``; ``generated`` for what Relax made of standard operators."""

    scheme: str | None
    """Of the weights that it reads, or the type of the KV cache; None without either. Of experts in
    several schemes their names joined, those of the fewest bits first; then the bytes of an expert
    are the mean over all layers, and the arithmetic is that of the schemes with codes, if there are
    some."""

    arithmetic: Arithmetic

    bytes: Work
    """Compulsory traffic: what the call has to read and write, each byte once."""

    operations: Work
    """Multiplications and additions that the model asks for, two for a multiply-accumulate. The
    second term of int8x2 is the kernel's own way of reaching its precision and does not count."""

    experts: int = 0
    """From which each token chooses; 0 where a kernel does not depend on the routing."""

    experts_per_tok: int = 0

    window: int = 0
    """Keys that a token sees at most; 0: all up to its own."""

    @property
    def kind(self) -> Kind:
        """What kernels of one speed have in common."""
        return self.operation, self.scheme, self.arithmetic

    def call(self, tokens: int, position: int, experts: float | None = None) -> Call:
        """Return the size of a call.

        Args:
            tokens: How many run at once.
            position: Of the first one.
            experts: Distinct experts that they chose; None: what is expected when every expert is
                equally likely. A kernel that does not depend on the routing meets none.
        """
        seen = [self._visible(position + i) for i in range(tokens)]
        if experts is None or not self.experts:
            experts = expected_experts(self.experts, self.experts_per_tok, tokens)
        return Call(tokens=tokens, experts=experts, keys=seen[0] + tokens - 1, pairs=sum(seen))

    def _visible(self, position: int) -> int:
        keys = position + 1
        return min(keys, self.window) if self.window else keys

    @classmethod
    def read(cls, fields: StrictObject) -> Self:
        """Take the fields of a manifest.

        Raises:
            BundleError: They are not those of a cost.
        """
        cost = cls(
            operation=fields.text("operation"),
            scheme=fields.text_or_none("scheme"),
            arithmetic=_arithmetic(fields.text("arithmetic")),
            bytes=Work.read(fields.object("bytes")),
            operations=Work.read(fields.object("operations")),
            experts=fields.integer("experts"),
            experts_per_tok=fields.integer("experts_per_tok"),
            window=fields.integer("window"),
        )
        fields.finish()
        return cost


def expected_experts(experts: int, experts_per_tok: int, tokens: int) -> float:
    """Return how many distinct experts some tokens choose, when each choice is equally likely."""
    if not experts:
        return 0
    missed = (1 - experts_per_tok / experts) ** tokens
    return experts * (1 - missed)


def _arithmetic(name: str) -> Arithmetic:
    known: dict[str, Any] = {known: known for known in get_args(Arithmetic)}
    if name not in known:
        raise BundleError(
            f"The manifest has a kernel of arithmetic {name[:40]!r}, which is none of "
            f"{', '.join(known)}; compile the model again."
        )
    arithmetic: Arithmetic = known[name]
    return arithmetic
