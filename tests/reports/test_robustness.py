"""What goes wrong around a run: threads, disks, signals, changed files, arguments of any size."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from disks import run_on_disk
from ossc.runtimes.bundle import EXECUTABLE_NAME
from ossc.runtimes.sampler import Sampler
from ossc.runtimes.session import Session
from ossc.targets.errors import SessionError, UsageError
from reports.commands import LINKS, one_sentence, run_program
from synthetic import make_checkpoint

OSSC = "from ossc.compiler.cli import main; main(prog_name='ossc')"

TWO_THREADS = """
import sys, threading
from ossc.runtimes.session import Session
from ossc.targets.errors import SessionError
session, refused, wrong = Session(sys.argv[1], threads=1), [], []
expected = session.prefill(list(range(200)))
def prefill():
    for _ in range(50):
        try:
            session.reset()
            if (session.prefill(list(range(200))) != expected).any():
                wrong.append("numbers")
        except SessionError as error:
            refused.append(str(error))
threads = [threading.Thread(target=prefill) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(len(wrong), any("thread" in each for each in refused))
"""

CLOSED_MEANWHILE = """
import sys, threading
from ossc.runtimes.session import Session
from ossc.targets.errors import SessionError
session = Session(sys.argv[1], threads=1)
thread = threading.Thread(target=lambda: [session.prefill([1] * 25) for _ in range(8)])
thread.start()
try:
    session.close()
except SessionError:
    pass
thread.join()
print("still here")
"""


def test_a_second_thread_is_refused_and_breaks_nothing(plain_bundle):
    done = run_program("-c", TWO_THREADS, plain_bundle)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "0 True\n"


def test_a_session_that_is_closed_while_it_runs_does_not_end_the_process(plain_bundle):
    done = run_program("-W", "ignore", "-c", CLOSED_MEANWHILE, plain_bundle)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "still here\n"


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"seed": 2**64 + 1}, id="seed"),
        pytest.param({"seed": -1}, id="negative seed"),
        pytest.param({"temperature": float("nan")}, id="temperature"),
        pytest.param({"top_p": 1.5}, id="top-p"),
    ],
)
def test_an_argument_that_does_not_fit_is_refused_and_not_wrapped(plain_bundle, arguments):
    with Session(plain_bundle) as session, pytest.raises((SessionError, UsageError)):
        list(session.generate([1, 2, 3], max_new_tokens=2, **arguments))


@pytest.mark.parametrize("threads", [2**32 + 1, 100_000, 1.5, "two"])
def test_threads_that_there_cannot_be_are_refused(plain_bundle, threads):
    with pytest.raises((SessionError, UsageError), match="threads"):
        Session(plain_bundle, threads=threads).close()


@pytest.mark.parametrize("token_ids", ["1_0", "١", "1 2x", "1e3", "-1", "99999"])
def test_token_ids_are_plain_numbers_of_the_vocabulary(refusal, plain_bundle, token_ids):
    assert refusal("run", plain_bundle, "--token-ids", token_ids, exit_codes=(2,))


def test_the_default_threads_are_the_cpus_that_this_process_may_use(plain_bundle):
    code = (
        "import os, sys; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from ossc.runtimes.session import Session\n"
        "print(Session(sys.argv[1]).threads)"
    )
    assert run_program("-c", code, plain_bundle).stdout == "1\n"


def test_a_bundle_whose_weights_are_short_is_refused_before_it_runs(refusal, bundle):
    weights = bundle / "weights.bin"
    os.truncate(weights, weights.stat().st_size // 2)
    assert "weights.bin" in refusal("run", bundle, "--token-ids", "1 2 3")


CUT_WHILE_MAPPED = """
import os, sys
from ossc.runtimes.session import Session
from ossc.targets.errors import OsscError
session = Session(sys.argv[1])
os.truncate(sys.argv[1] + "/weights.bin", 4096)
try:
    session.prefill([1, 2, 3])
except OsscError as error:
    print(error)
"""


def test_weights_that_are_cut_while_they_are_mapped_are_an_error_and_no_signal(bundle):
    done = run_program("-c", CUT_WHILE_MAPPED, bundle)
    assert done.returncode == 0, done.stderr
    assert "weights" in done.stdout


def test_a_full_disk_ends_an_answer_with_a_sentence(plain_bundle):
    arguments = ("run", plain_bundle, "--token-ids", "1 2 3", "-n", "100")
    with Path("/dev/full").open("w") as full:
        done = run_program("-c", OSSC, *arguments, stdout=full.fileno())
    assert done.returncode == 1
    assert one_sentence(done.stderr)


def test_help_into_a_full_disk_ends_with_a_sentence():
    with Path("/dev/full").open("w") as full:
        done = run_program("-c", OSSC, "--help", stdout=full.fileno())
    assert done.returncode == 1
    assert one_sentence(done.stderr)


COMPILE_AND_LIST = (
    '"$1" -c "$2" compile "$3" --out "$4/bundle"; status=$?; ls -A "$4"; exit $status'
)


def test_a_disk_too_small_for_the_bundle_is_left_as_it_was(tmp_path):
    model, disk = make_checkpoint(tmp_path / "model"), tmp_path / "disk"
    disk.mkdir()
    command = ["sh", "-c", COMPILE_AND_LIST, "sh", sys.executable, OSSC, str(model), str(disk)]
    done = run_on_disk(disk, "size=64k", command, PYTHONPATH=str(LINKS))
    assert (done.returncode, done.stdout) == (1, "")
    sentence = one_sentence(done.stderr)
    assert "disk" in sentence
    assert "free" in sentence


def test_a_bundle_needs_nothing_that_is_installed(plain_bundle):
    done = subprocess.run(
        [plain_bundle / EXECUTABLE_NAME, plain_bundle, "--token-ids", "1 2 3", "-n", "4"],
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 4


def test_both_programs_refuse_with_the_same_status(ossc, plain_bundle):
    for token_ids in ("", "99999", "x"):
        arguments = (str(plain_bundle), "--token-ids", token_ids)
        alone = run_program(plain_bundle / EXECUTABLE_NAME, *arguments)
        assert alone.returncode == ossc("run", *arguments).exit_code == 2, token_ids


def test_a_compiler_cache_that_cannot_be_written_is_said_before_minutes_of_work(
    tmp_path, monkeypatch, refusal
):
    monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", "/dev/null/cache")
    folder = make_checkpoint(tmp_path / "model")
    begin = time.process_time()
    sentence = refusal("compile", folder, "--out", tmp_path / "bundle")
    assert "ZIG_GLOBAL_CACHE_DIR" in sentence
    assert time.process_time() - begin < 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_compilation_that_is_ended_leaves_nothing(tmp_path, number):
    model, place = make_checkpoint(tmp_path / "model"), tmp_path / "place"
    place.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", OSSC, "compile", str(model), "--out", str(place / "bundle")],
        env=dict(os.environ) | {"PYTHONPATH": str(LINKS)},
        stderr=subprocess.DEVNULL,
    )
    while not any(place.iterdir()):
        with contextlib.suppress(subprocess.TimeoutExpired):
            assert child.wait(timeout=0.02) is None, "it ended before it wrote anything"
    child.send_signal(number)
    assert child.wait(timeout=60) != 0
    assert list(place.iterdir()) == []


def test_a_disk_that_forbids_programs_is_named(plain_bundle, tmp_path):
    script = f'cp -r "$1" "$2/b" && exec {sys.executable} -c "{OSSC}" run "$2/b" --token-ids 1 -n 1'
    command = ["sh", "-c", script, "sh", str(plain_bundle), str(tmp_path)]
    done = run_on_disk(tmp_path, "size=64m,noexec", command, PYTHONPATH=str(LINKS))
    assert done.returncode == 1
    assert "noexec" in one_sentence(done.stderr)


def test_an_interrupted_answer_keeps_what_came(ossc, plain_bundle, monkeypatch):
    def sample(*_):
        token_id = next(token_ids)
        if token_id == 7:
            signal.raise_signal(signal.SIGINT)
        return token_id

    token_ids = iter(range(5, 60))
    monkeypatch.setattr(Sampler, "sample", sample)
    result = ossc("run", plain_bundle, "--token-ids", "1 2", "-n", 50, "--format", "json")
    assert result.exit_code != 0
    report = json.loads(result.stdout)
    assert report["finish_reason"] == "interrupted"
    assert report["token_ids"][:2] == [5, 6]
    assert len(report["token_ids"]) < 5
