"""What a profile runs: prompt lengths, depths, repeats, and the tokens themselves."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ossc.runtimes.kv_type import KvType
from ossc.runtimes.weights_mode import WeightsMode
from ossc.targets.errors import UsageError

DEFAULT_PROMPT_TOKENS = 128
DEFAULT_NEW_TOKENS = 32
DEFAULT_REPEATS = 5


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What to run; `fit` makes it one that a bundle's context can hold."""

    prompt_tokens: tuple[int, ...] = ()
    """Lengths of prompts; empty is 128, or less in a small context."""
    depths: tuple[int, ...] = ()
    """Positions in the context from which tokens are decoded; empty is the first prompt's end."""
    new_tokens: int = DEFAULT_NEW_TOKENS
    """Tokens decoded in each repeat."""
    repeats: int = DEFAULT_REPEATS
    threads: int | None = None
    """None is one for each CPU."""
    weights: WeightsMode = "mapped"
    kv: KvType | None = None
    """Type of the KV caches; None is the bundle's default."""
    device: str | None = None
    """What runs it, as ``KIND`` or ``KIND:WHICH``; None is the best there."""
    token_ids: tuple[int, ...] = ()
    """A text's tokens, repeated as often as needed; empty is random tokens, always the same."""

    def fit(self, context: int) -> "Workload":
        """Fill in what was left open, for a bundle with this context.

        Raises:
            UsageError: A length or depth that was asked for does not fit.
        """
        room = context - self.new_tokens
        if room < 1:
            raise UsageError(
                f"{self.new_tokens} new tokens do not fit into a context of {context} with a "
                "prompt; give a smaller --new-tokens."
            )
        prompt_tokens = self.prompt_tokens or (min(DEFAULT_PROMPT_TOKENS, room),)
        depths = self.depths or (prompt_tokens[0],)
        for count in (*prompt_tokens, *depths):
            if count > room:
                raise UsageError(
                    f"{count} tokens and {self.new_tokens} new ones do not fit into a context of "
                    f"{context}; give less, or compile with a larger --context."
                )
        return replace(self, prompt_tokens=prompt_tokens, depths=depths)


def workload_tokens(workload: Workload, vocab_size: int) -> "Tokens":
    """Return the tokens of a workload that fits."""
    if workload.token_ids:
        return Tokens(workload.token_ids)
    count = max(workload.prompt_tokens) + workload.new_tokens
    drawn = np.random.default_rng(0).integers(0, vocab_size, count)
    return Tokens(tuple(drawn.tolist()))


class Tokens:
    """An endless text: some token ids, again and again."""

    def __init__(self, token_ids: Sequence[int]) -> None:
        self._token_ids = tuple(token_ids)

    def take(self, begin: int, count: int) -> list[int]:
        """Return the ids at positions ``begin`` to ``begin + count``."""
        length = len(self._token_ids)
        return [self._token_ids[i % length] for i in range(begin, begin + count)]
