"""The process's own streams: full, closed, or with a reader that went away."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ossc.compiler.cli import COMMANDS

TESTS = Path(__file__).parents[2]
PROGRAM = "from ossc.compiler.cli import main; main(prog_name='ossc')"

FULL = "Error: stdout cannot be written (No space left on device); make room, or send it elsewhere."
CLOSED = "Error: stdout is closed, so the output would be lost; send it somewhere, or to /dev/null."
WITH_OUTPUT = [
    ["--help"],
    ["--version"],
    *([name, "--help"] for name in COMMANDS),
    ["run", "BUNDLE", "--token-ids", "1 2", "-n", "4"],
    ["run", "BUNDLE", "--token-ids", "1 2", "-n", "4", "--format", "json"],
    ["inspect", "BUNDLE"],
    ["verify", "BUNDLE"],
    ["targets"],
    ["schemes"],
]
"""Command lines that print something; BUNDLE stands for a bundle's folder."""


def in_shell(redirection, arguments, bundle, *, program=PROGRAM):
    """Run ossc in a process of its own, with streams as a shell redirects them."""
    words = [str(bundle) if word == "BUNDLE" else word for word in arguments]
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", sys.executable, "-c", program, *words],
        env=dict(os.environ) | {"PYTHONPATH": str(TESTS.parent / ".links")},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments", WITH_OUTPUT, ids=lambda words: "-".join(words[:1] + words[2:])
)
def test_a_full_disk_is_one_sentence(tiny_bundle, arguments):
    done = in_shell(">/dev/full", arguments, tiny_bundle)
    *progress, sentence = done.stderr.decode().splitlines()
    assert (done.returncode, sentence) == (1, FULL)
    assert not any("Error" in line or "Traceback" in line for line in progress)


@pytest.mark.parametrize("arguments", [["--help"], ["targets"], ["inspect", "BUNDLE"]])
def test_a_closed_stdout_is_one_sentence(tiny_bundle, arguments):
    done = in_shell(">&-", arguments, tiny_bundle)
    assert (done.returncode, done.stderr.decode().strip()) == (1, CLOSED)


@pytest.mark.parametrize("arguments", [["--help"], ["inspect", "BUNDLE"]])
def test_a_reader_that_went_away_ends_it_quietly(tiny_bundle, arguments):
    read, write = os.pipe()
    os.close(read)
    os.set_inheritable(write, True)
    words = [str(tiny_bundle) if word == "BUNDLE" else word for word in arguments]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env=dict(os.environ) | {"PYTHONPATH": str(TESTS.parent / ".links")},
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize("redirection", ["2>/dev/full", "2>&-", "<&- 2>&-"])
def test_messages_that_cannot_be_written_do_not_stop_the_work(tiny_bundle, redirection):
    done = in_shell(redirection, ["run", "BUNDLE", "--token-ids", "1 2", "-n", "4"], tiny_bundle)
    assert done.returncode == 0
    assert len(done.stdout.split()) == 4
    assert in_shell(redirection, ["inspect", "nowhere"], tiny_bundle).returncode == 1
    assert in_shell(redirection, ["verify", "BUNDLE"], tiny_bundle).returncode == 0


def test_generation_ends_at_the_first_token_that_cannot_be_written(tiny_bundle):
    program = (
        "import sys\n"
        "from ossc.runtimes import session\n"
        "decode, calls = session.Session.decode, []\n"
        "session.Session.decode = lambda *a: (calls.append(a), decode(*a))[1]\n"
        "from ossc.compiler.cli import main\n"
        "try:\n"
        "    main(['run', *sys.argv[1:]], prog_name='ossc')\n"
        "finally:\n"
        "    sys.stderr.write(f'{len(calls)} decoded')"
    )
    arguments = ["BUNDLE", "--token-ids", "1", "-n", "40"]
    done = in_shell(">/dev/full", arguments, tiny_bundle, program=program)
    assert done.returncode == 1
    assert done.stderr.decode() == f"{FULL}\n0 decoded"


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        pytest.param("utf-8", b"\xff \xe2\x80\xa6\n", id="the-bytes-of-a-path-that-is-no-utf-8"),
        pytest.param("latin-1", b"\\udcff \\u2026\n", id="what-an-encoding-lacks"),
    ],
)
def test_every_text_can_be_printed(encoding, printed, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    program = (
        "import click\n"
        "from ossc.compiler.cli.streams import checked_streams\n"
        "with checked_streams(): click.echo('\\udcff \\u2026')"
    )
    done = in_shell("", [], None, program=program)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, b"")


def test_a_caller_gets_its_streams_back():
    program = "from ossc.compiler.cli import main; main(['targets'], standalone_mode=False)"
    program += "; import sys; print(sys.stdout is sys.__stdout__)"
    done = in_shell("", [], None, program=program)
    assert re.search(rb"True\n\Z", done.stdout)
