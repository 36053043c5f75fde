"""The run loop."""

import signal

import pytest

from ossc.runtimes import run as run_module
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.profile.places import EmulatedPlace
from ossc.runtimes.run import run_bundle
from ossc.runtimes.run_report import RunOptions
from ossc.runtimes.session import Session
from ossc.targets.errors import SessionError, UsageError
from ossc.targets.machine import Machine
from synthetic.tiny_bundle import write_bundle
from synthetic.tiny_plan import CHUNK, CONTEXT, VOCAB
from synthetic.web_plan import write_web_bundle

PROMPT = [5, 1, 30]


def test_the_report_has_the_tokens_and_their_counts(tiny_bundle):
    came = []
    report = run_bundle(tiny_bundle, PROMPT, RunOptions(max_new_tokens=5, threads=1), came.append)
    with Session(tiny_bundle, threads=1) as session:
        assert list(report.token_ids) == came == list(session.generate(PROMPT, max_new_tokens=5))
    assert (report.prefill_tokens, report.decode_tokens) == (3, 4)
    assert min(report.prefill_tokens_per_s, report.decode_tokens_per_s, report.load_s) > 0
    assert report.peak_rss_bytes >= report.peak_anonymous_bytes > 0
    assert report.emulator is None


def test_a_stop_token_ends_the_run(tiny_bundle):
    first = run_bundle(tiny_bundle, PROMPT, RunOptions(max_new_tokens=1)).token_ids[0]
    write_bundle(tiny_bundle, stop_token_ids=(first,))
    report = run_bundle(tiny_bundle, PROMPT, RunOptions())
    assert (report.token_ids, report.decode_tokens, report.decode_tokens_per_s) == ((), 0, 0.0)
    assert report.finish_reason == "stop"


def test_a_full_context_ends_the_run(tiny_bundle):
    report = run_bundle(tiny_bundle, PROMPT, RunOptions(max_new_tokens=1000))
    assert len(report.token_ids) == CONTEXT - len(PROMPT) + 1
    assert report.finish_reason == "context"


def test_a_bundle_for_another_architecture_is_emulated(tiny_bundle, monkeypatch):
    machine = Machine(arch="riscv64", cpu_features=frozenset())
    monkeypatch.setattr(run_module, "this_machine", lambda: machine)
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(SessionError, match=r"is not installed; install it"):
        run_bundle(tiny_bundle, PROMPT, RunOptions())


def test_a_bundle_for_browsers_is_refused_with_how_it_is_run(tmp_path):
    bundle = write_web_bundle(tmp_path / "bundle")
    for run in (run_bundle, lambda path, *_: Session(path), measure_emulated):
        with pytest.raises(SessionError, match=r"runs in a browser: serve its folder \(python -m"):
            run(bundle, PROMPT, RunOptions())


def measure_emulated(path, *_):
    EmulatedPlace("aarch64").start(Bundle.open(path))


def test_without_a_number_the_context_is_the_limit(tiny_bundle):
    report = run_bundle(tiny_bundle, [5], RunOptions(max_new_tokens=None))
    assert (len(report.token_ids), report.finish_reason) == (CONTEXT, "context")


def test_a_prompt_of_several_chunks_gives_the_tokens_of_the_session(tiny_bundle):
    prompt = [i % VOCAB for i in range(CONTEXT - 3)]
    report = run_bundle(tiny_bundle, prompt, RunOptions(max_new_tokens=3))
    with Session(tiny_bundle) as session:
        assert list(report.token_ids) == list(session.generate(prompt, max_new_tokens=3))
    assert report.prefill_tokens == len(prompt)


def interrupt(*_):
    signal.raise_signal(signal.SIGINT)


def test_an_interrupt_keeps_what_came(tiny_bundle):
    report = run_bundle(tiny_bundle, PROMPT, RunOptions(max_new_tokens=9), interrupt)
    assert (len(report.token_ids), report.finish_reason) == (1, "interrupted")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_need_not_wait_for_the_whole_prompt(tiny_bundle, monkeypatch):
    prefill = Session.prefill

    def interrupted_prefill(session, token_ids):
        interrupt()
        return prefill(session, token_ids)

    monkeypatch.setattr(Session, "prefill", interrupted_prefill)
    report = run_bundle(tiny_bundle, [1] * 20, RunOptions(max_new_tokens=9))
    assert (report.token_ids, report.finish_reason) == ((), "interrupted")
    assert report.prefill_tokens == CHUNK


def test_a_second_interrupt_ends_the_run_at_once(tiny_bundle):
    def twice(_token_id):
        interrupt()
        interrupt()

    with pytest.raises(KeyboardInterrupt):
        run_bundle(tiny_bundle, PROMPT, RunOptions(max_new_tokens=9), twice)


@pytest.mark.parametrize(
    ("prompt", "error", "sentence"),
    [
        pytest.param([], UsageError, "The prompt has no tokens", id="empty"),
        pytest.param([1, VOCAB], UsageError, "is not in the vocabulary", id="vocabulary"),
        pytest.param([-1], UsageError, "Token id -1 is not in the vocabulary", id="negative"),
        pytest.param([1] * 25, SessionError, "25 tokens and the context holds 24", id="long"),
    ],
)
def test_a_prompt_that_cannot_be_run_is_refused(tiny_bundle, prompt, error, sentence):
    with pytest.raises(error, match=sentence):
        run_bundle(tiny_bundle, prompt, RunOptions())
