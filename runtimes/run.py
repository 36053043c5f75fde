"""The run loop behind ``ossc run``: a prompt, then one token after the other, with times."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from pathlib import Path

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.emulation import run_emulated
from ossc.runtimes.finish_reason import FinishReason
from ossc.runtimes.generation import generate_tokens
from ossc.runtimes.interrupt import noticed_interrupt
from ossc.runtimes.machine_check import check_program
from ossc.runtimes.manifest import Manifest
from ossc.runtimes.run_report import RunOptions, RunReport
from ossc.runtimes.session import Session
from ossc.targets.errors import SessionError, UsageError
from ossc.targets.machine import this_machine

OnToken = Callable[[int], None]
Interrupted = Callable[[], bool]


def run_bundle(
    path: Path,
    token_ids: Sequence[int],
    options: RunOptions,
    on_token: OnToken = lambda _: None,
) -> RunReport:
    """Continue a prompt with a bundle, here or emulated when it is for another architecture.

    The first SIGINT ends the generation, and the report has what came until then.

    Args:
        path: The bundle's directory.
        token_ids: The prompt.
        options: How to continue it.
        on_token: Called with each token id as it comes; after the run when emulated.

    Raises:
        BundleError: The bundle is damaged, incomplete or of another version.
        UsageError: The prompt is empty, or has an id that is not in the vocabulary.
        SessionError: This machine cannot run it, or the prompt or an option is refused.
    """
    target = Manifest.read(path).target
    check_program(target)
    if target.host.arch != this_machine().arch:
        bundle = Bundle.open(path, kv=options.kv)
        check_prompt(token_ids, bundle.plan.vocab_size, bundle.plan.context)
        report = run_emulated(bundle, token_ids, options)
        for token_id in report.token_ids:
            on_token(token_id)
        return report
    begin = time.perf_counter()
    with Session(
        path, options.threads, options.weights, options.kv, device=options.device
    ) as session:
        load_s = time.perf_counter() - begin
        check_prompt(token_ids, session.vocab_size, session.context)
        with noticed_interrupt() as interrupted:
            return _run_session(session, token_ids, options, on_token, load_s, interrupted)


def check_prompt(token_ids: Sequence[int], vocab_size: int, context: int) -> None:
    """Refuse a prompt that cannot be run, before any of it is.

    Raises:
        UsageError: It is empty, or has an id that is not in the vocabulary.
        SessionError: It is longer than the context.
    """
    if not token_ids:
        raise UsageError("The prompt has no tokens; give at least one.")
    for token_id in (min(token_ids), max(token_ids)):
        if not 0 <= token_id < vocab_size:
            raise UsageError(
                f"Token id {token_id} is not in the vocabulary of {vocab_size}; give ids from 0 to "
                f"{vocab_size - 1}."
            )
    if len(token_ids) > context:
        raise SessionError(
            f"The prompt has {len(token_ids)} tokens and the context holds {context}; give a "
            "shorter prompt, or compile the model with a larger --context."
        )


def _run_session(
    session: Session,
    token_ids: Sequence[int],
    options: RunOptions,
    on_token: OnToken,
    load_s: float,
    interrupted: Interrupted,
) -> RunReport:
    generated: list[int] = []
    peak_anonymous_bytes = 0
    begin = time.perf_counter()
    first = None  # when the prompt was done

    def take(token_id: int) -> None:
        nonlocal first, peak_anonymous_bytes
        first = first or time.perf_counter()
        generated.append(token_id)
        on_token(token_id)
        peak_anonymous_bytes = max(peak_anonymous_bytes, session.process_memory()[1])

    with closing(session.sampler(**options.sampling())) as sampler:
        tokens = generate_tokens(session, token_ids, sampler, options.max_new_tokens, interrupted)
        finish_reason = _drain(tokens, take)
    end = time.perf_counter()
    prefill_tokens = min(session.position, len(token_ids))
    decode_tokens = session.position - prefill_tokens
    peak_rss_bytes, anonymous_bytes = session.process_memory()
    return RunReport(
        token_ids=tuple(generated),
        finish_reason=finish_reason,
        prefill_tokens=prefill_tokens,
        prefill_tokens_per_s=_per_second(prefill_tokens, (first or end) - begin),
        decode_tokens=decode_tokens,
        decode_tokens_per_s=_per_second(decode_tokens, end - (first or end)),
        load_s=load_s,
        peak_rss_bytes=peak_rss_bytes,
        peak_anonymous_bytes=max(peak_anonymous_bytes, anonymous_bytes),
    )


def _drain(tokens: Generator[int, None, FinishReason], take: OnToken) -> FinishReason:
    while True:
        try:
            take(next(tokens))
        except StopIteration as end:
            reason: FinishReason = end.value
            return reason


def _per_second(tokens: int, seconds: float) -> float:
    return tokens / seconds if tokens and seconds > 0 else 0.0
