"""From a prompt to the tokens that continue it."""

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING

from ossc.runtimes.finish_reason import FinishReason
from ossc.runtimes.sampler import Sampler

if TYPE_CHECKING:
    from ossc.runtimes.session import Session


def generate_tokens(
    session: "Session",
    token_ids: Sequence[int],
    sampler: Sampler,
    max_new_tokens: int | None,
    interrupted: Callable[[], bool] | None = None,
) -> Generator[int, None, FinishReason]:
    """Continue a prompt; gives out tokens, without the stop token that ends them.

    Args:
        session: Runs the prompt from its current position on.
        token_ids: The prompt.
        sampler: Chooses the tokens.
        max_new_tokens: Most tokens to give out; None is as many as the context holds.
        interrupted: Whether to end now; asked before every chunk of the prompt and every token.

    Returns:
        Why it ended.

    Raises:
        SessionError: The prompt is refused, or other tokens ran between two of these.
    """
    most = session.context + 1 if max_new_tokens is None else max_new_tokens
    chunk = session.manifest.prefill_chunk
    last = (len(token_ids) - 1) // chunk * chunk if interrupted else 0
    interrupted = interrupted or _never
    for i in range(0, last, chunk):
        if interrupted():
            return "interrupted"
        session.prefill(token_ids[i : i + chunk])
    logits = session.prefill(token_ids[last:])
    sampler.accept(token_ids)
    for remaining in reversed(range(most)):
        if interrupted():
            return "interrupted"
        token_id = sampler.sample(logits)
        if token_id in session.manifest.stop_token_ids:
            return "stop"
        sampler.accept([token_id])
        yield token_id
        if remaining and session.position == session.context:
            return "context"
        if remaining:
            logits = session.decode(token_id, after=logits)
    return "length"


def _never() -> bool:
    return False
