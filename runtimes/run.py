"""The run loop behind ``ossc run``: a prompt, then one token after the other, with times."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.emulation import run_emulated
from ossc.runtimes.manifest import Manifest
from ossc.runtimes.run_report import RunOptions, RunReport
from ossc.runtimes.session import Session
from ossc.targets.machine import this_machine

OnToken = Callable[[int], None]


def run_bundle(
    path: Path,
    token_ids: Sequence[int],
    options: RunOptions,
    on_token: OnToken = lambda _: None,
) -> RunReport:
    """Continue a prompt with a bundle, here or emulated when it is for another architecture.

    Args:
        path: The bundle's directory.
        token_ids: The prompt.
        options: How to continue it.
        on_token: Called with each token id as it comes; after the run when emulated.

    Raises:
        BundleError: The bundle is damaged, incomplete or of another version.
        SessionError: This machine cannot run it, or the prompt or an option is refused.
    """
    if Manifest.read(path).target.arch != this_machine().arch:
        report = run_emulated(Bundle.open(path, kv=options.kv), token_ids, options)
        for token_id in report.token_ids:
            on_token(token_id)
        return report
    begin = time.perf_counter()
    with Session(path, options.threads, options.weights, options.kv) as session:
        load_s = time.perf_counter() - begin
        return _run_session(session, token_ids, options, on_token, load_s)


def _run_session(
    session: Session,
    token_ids: Sequence[int],
    options: RunOptions,
    on_token: OnToken,
    load_s: float,
) -> RunReport:
    generated: list[int] = []
    peak_anonymous_bytes = 0
    begin = time.perf_counter()
    first = None  # when the prompt was done
    for token_id in session.generate(
        token_ids,
        max_new_tokens=options.max_new_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        seed=options.seed,
    ):
        first = first or time.perf_counter()
        generated.append(token_id)
        on_token(token_id)
        peak_anonymous_bytes = max(peak_anonymous_bytes, session.process_memory()[1])
    end = time.perf_counter()
    decode_tokens = session.position - len(token_ids)
    peak_rss_bytes, anonymous_bytes = session.process_memory()
    return RunReport(
        token_ids=tuple(generated),
        prefill_tokens=len(token_ids),
        prefill_tokens_per_s=_per_second(len(token_ids), (first or end) - begin),
        decode_tokens=decode_tokens,
        decode_tokens_per_s=_per_second(decode_tokens, end - (first or end)),
        load_s=load_s,
        peak_rss_bytes=peak_rss_bytes,
        peak_anonymous_bytes=max(peak_anonymous_bytes, anonymous_bytes),
    )


def _per_second(tokens: int, seconds: float) -> float:
    return tokens / seconds if tokens and seconds > 0 else 0.0
