"""The run loop."""

import pytest

from ossc.runtimes import run as run_module
from ossc.runtimes.run import run_bundle
from ossc.runtimes.run_report import RunOptions
from ossc.runtimes.session import Session
from ossc.targets.errors import SessionError
from ossc.targets.machine import Machine
from synthetic.tiny_bundle import write_bundle
from synthetic.tiny_plan import CONTEXT

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


def test_a_full_context_ends_the_run(tiny_bundle):
    report = run_bundle(tiny_bundle, PROMPT, RunOptions(max_new_tokens=1000))
    assert len(report.token_ids) == CONTEXT - len(PROMPT) + 1


def test_a_bundle_for_another_architecture_is_emulated(tiny_bundle, monkeypatch):
    machine = Machine(arch="riscv64", cpu_features=frozenset())
    monkeypatch.setattr(run_module, "this_machine", lambda: machine)
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(SessionError, match=r"is not installed; install it"):
        run_bundle(tiny_bundle, PROMPT, RunOptions())
