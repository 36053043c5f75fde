"""Signals end ossc by themselves, after what is to be removed was removed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ossc.compiler.cli.ending import ENDING_SIGNALS, SAME_REQUEST_S, signal_of

LINKS = Path(__file__).parents[3] / ".links"

PROGRAM = """
import ctypes, os, signal, sys, time
import ossc.compiler.cli.targets_command as targets_command
from ossc.compiler.cli import main

def send(number):
    os.kill(os.getpid(), number)

def work():
    try:
        print("began", flush=True)
        {work}
        print("went on", flush=True)
    finally:
        print("cleans up", flush=True)
        {cleanup}
        print("cleaned", flush=True)
    return ()

targets_command.all_targets = work
main(["targets", "--format=json"], prog_name="ossc")
"""
"""A command that does ``work``, and then ``cleanup`` however it ends."""


def run(work, cleanup="pass", *, before="exec"):
    """Run it; returns the status as a shell's parent sees it, the words printed, and stderr."""
    program = PROGRAM.format(work=work, cleanup=cleanup)
    done = subprocess.run(
        ["sh", "-c", f'{before} "$@"', "sh", sys.executable, "-c", program],
        env=dict(os.environ) | {"PYTHONPATH": str(LINKS)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.splitlines(), done.stderr


@pytest.mark.parametrize("number", ENDING_SIGNALS)
def test_a_signal_cleans_up_and_is_what_the_process_dies_of(number):
    status, printed, stderr = run(f"send({int(number)})")
    assert status == -number
    assert printed == ["began", "cleans up", "cleaned"]
    assert stderr == f"\nEnded by {number.name}.\n"


@pytest.mark.parametrize("first", ENDING_SIGNALS)
def test_a_second_interrupt_ends_a_cleanup_at_once(first):
    status, printed, stderr = run(f"send({int(first)})", "send(signal.SIGINT)")
    assert status == -signal.SIGINT
    assert (printed, stderr) == (["began", "cleans up"], "")


def test_a_second_interrupt_ends_a_call_into_c_that_goes_on():
    kill = "ctypes.PyDLL(None).kill"  # no Python code runs between two of its calls in one map
    status, printed, _ = run(f"list(map({kill}, [os.getpid()] * 2, [signal.SIGINT] * 2))")
    assert (status, printed) == (-signal.SIGINT, ["began"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_two_signals_of_one_request_are_one(number):
    status, printed, _ = run(f"send({int(number)})", f"send({int(number)})")
    assert (status, printed) == (-number, ["began", "cleans up", "cleaned"])


def test_a_second_request_ends_a_cleanup_at_once():
    later = f"time.monotonic = lambda: 1e9 + {SAME_REQUEST_S}; send(signal.SIGTERM)"
    status, printed, _ = run("send(signal.SIGTERM)", later)
    assert (status, printed) == (-signal.SIGTERM, ["began", "cleans up"])


def test_a_signal_that_was_ignored_from_the_start_stays_ignored():
    status, printed, _ = run("send(signal.SIGHUP)", before="trap '' HUP; exec")
    assert (status, printed[:2]) == (0, ["began", "went on"])


def test_an_interruption_of_a_librarys_own_has_no_signal():
    assert signal_of(KeyboardInterrupt()) is None
    assert signal_of(KeyboardInterrupt(2)) is None
    assert signal_of(KeyboardInterrupt(signal.SIGINT)) is signal.SIGINT
