"""Progress without a terminal: one line a phase, with its seconds."""

import pytest

from ossc.compiler.cli import progress
from ossc.compiler.cli.progress import terminal_progress


@pytest.fixture
def clock(monkeypatch):
    """``clock[0]``: the time in seconds."""
    now_s = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now_s[0])
    return now_s


def test_a_phase_is_one_line_with_its_seconds(capsys, clock):
    with terminal_progress() as reporter:
        reporter.phase("Reading")
        clock[0] += 1.25
        reporter.phase("Packing", 100)
        reporter.advance("a", 50)
        clock[0] += 9
        assert capsys.readouterr().err == "Reading … 1.2 s\nPacking … "
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "9.0 s\n")


def test_a_long_phase_says_now_and_then_how_far_it_is(capsys, clock):
    with terminal_progress() as reporter:
        reporter.phase("Packing", 100)
        for _ in range(10):
            clock[0] += 4
            reporter.advance("a", 10)
    assert capsys.readouterr().err == "Packing … 30% … 60% … 90% … 40.0 s\n"


def test_a_phase_that_fails_has_no_seconds(capsys):
    def fail():
        with terminal_progress() as reporter:
            reporter.phase("Reading")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert capsys.readouterr().err == "Reading … \n"


def test_a_note_has_a_line_of_its_own_and_comes_once(capsys, clock):
    with terminal_progress() as reporter:
        reporter.phase("Reading")
        reporter.note("it is small")
        reporter.note("it is small")
    assert capsys.readouterr().err == "Reading … \nNote: it is small\nReading … 0.0 s\n"


def test_without_a_phase_nothing_is_printed(capsys):
    with terminal_progress():
        pass
    assert capsys.readouterr().err == ""
