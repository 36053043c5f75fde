"""Running ``ossc-run`` through an emulator; a script that only starts it stands in for qemu."""

import os
import shutil
import sys

import pytest

from ossc.runtimes.answer import Answer
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.emulation import emulator_command, find_emulator, run_emulated
from ossc.runtimes.manifest import HostEntry, TargetEntry
from ossc.runtimes.run_report import RunOptions, RunReport
from ossc.runtimes.session import Session
from ossc.targets.errors import BundleError, SessionError, UsageError
from ossc.targets.machine import this_machine
from synthetic.tiny_bundle import write_bundle
from synthetic.tiny_plan import CONTEXT

PROMPT = [5, 1, 30]


@pytest.fixture
def emulator(tmp_path, monkeypatch):
    """A ``qemu-<arch>`` that records its arguments, and runs the program natively."""
    name = f"qemu-{this_machine().arch}"
    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / name
    script.write_text(f'#!/bin/sh\necho "$@" > {folder}/arguments\nshift 2\nexec "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return name


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(RunOptions(max_new_tokens=6, threads=2), id="greedy"),
        pytest.param(RunOptions(temperature=2.0, top_p=0.9, seed=7, threads=1), id="sampled"),
        pytest.param(RunOptions(max_new_tokens=3, weights="resident"), id="resident"),
        pytest.param(RunOptions(repeat_penalty=3.0), id="penalized"),
        pytest.param(RunOptions(temperature=3.0, top_k=3, seed=2), id="top-k"),
        pytest.param(RunOptions(temperature=3.0, min_p=0.3, seed=2), id="min-p"),
    ],
)
def test_the_executable_gives_the_tokens_of_the_library(tiny_bundle, emulator, options):
    report = run_emulated(Bundle.open(tiny_bundle), PROMPT, options)
    with Session(tiny_bundle, threads=1) as session:
        expected = session.generate(
            PROMPT,
            max_new_tokens=options.max_new_tokens,
            **options.sampling(),
        )
        assert report.token_ids == tuple(expected)
    assert (report.emulator, report.prefill_tokens) == (emulator, len(PROMPT))
    assert report.token_ids


def test_every_option_reaches_the_program(tiny_bundle, emulator, tmp_path):
    options = RunOptions(
        **{"max_new_tokens": 2, "temperature": 0.5, "top_p": 0.9, "seed": 3, "threads": 4},
        **{"weights": "resident", "top_k": 5, "min_p": 0.25, "repeat_penalty": 1.5},
    )
    run_emulated(Bundle.open(tiny_bundle), PROMPT, options)
    arguments = (tmp_path / "bin" / "arguments").read_text().split()
    assert arguments[:4] == ["-cpu", "max", f"{tiny_bundle}/ossc-run", str(tiny_bundle)]
    assert dict(zip(arguments[4::2], arguments[5::2], strict=True)) == {
        "--token-ids": "-",
        "-n": "2",
        "--temp": "0.5",
        "--top-p": "0.9",
        "--seed": "3",
        "--top-k": "5",
        "--min-p": "0.25",
        "--repeat-penalty": "1.5",
        "--threads": "4",
        "--weights": "resident",
        "--kv": "f32",
        "--format": "json",
    }


def test_a_refused_prompt_is_an_error_without_the_program_s_name(tiny_bundle, emulator):
    with pytest.raises(SessionError, match=r"^The prompt has 30 tokens and the context holds 24"):
        run_emulated(Bundle.open(tiny_bundle), [1] * (CONTEXT + 6), RunOptions())


def test_an_option_that_the_program_refuses_is_wrong_usage(tiny_bundle, emulator):
    with pytest.raises(UsageError, match="temperature is -1"):
        run_emulated(Bundle.open(tiny_bundle), PROMPT, RunOptions(temperature=-1))


@pytest.mark.parametrize(("count", "reason"), [(2, "length"), (None, "context"), (50, "context")])
@pytest.mark.parametrize("prompt", [PROMPT, [5]])
def test_the_report_says_why_it_ended(tiny_bundle, emulator, prompt, count, reason):
    report = run_emulated(Bundle.open(tiny_bundle), prompt, RunOptions(max_new_tokens=count))
    assert report.finish_reason == reason


def test_an_interrupt_reaches_the_program(tiny_bundle, tmp_path, emulator):
    """The script stands for a slow program that reports what came."""
    report = RunReport.from_json(
        '{"text": null, "thinking": null, "channels": null, "token_ids": [1], "finish_reason": '
        '"interrupted", "prefill_tokens": 3, "prefill_tokens_per_s": 1, "decode_tokens": 0, '
        '"decode_tokens_per_s": 0, "load_s": 0, "peak_rss_bytes": 1, "peak_anonymous_bytes": 1}'
    )
    script = tmp_path / "bin" / emulator
    script.write_text(
        f"#!{sys.executable}\nimport os, signal\n"
        "def report(*_):\n"
        f"    print({report.to_json(Answer(text=None))!r}, flush=True)\n"
        "    os._exit(130)\n"
        "signal.signal(signal.SIGINT, report)\n"
        "os.kill(os.getppid(), signal.SIGINT)\n"
        "signal.pause()\n"
    )
    assert run_emulated(Bundle.open(tiny_bundle), PROMPT, RunOptions()).token_ids == (1,)


def test_a_bundle_without_an_executable_is_refused(tmp_path, emulator):
    with pytest.raises(BundleError, match="has no ossc-run"):
        run_emulated(Bundle.open(write_bundle(tmp_path / "b")), PROMPT, RunOptions())


def test_a_missing_emulator_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SessionError, match="qemu-riscv64 is not installed; install it"):
        find_emulator("qemu-riscv64")


@pytest.mark.parametrize(
    ("target", "arch", "command"),
    [
        ("cpu:aarch64", "aarch64", ["qemu-aarch64", "-cpu", "max"]),
        ("cpu:armv7", "armv7l", ["qemu-arm", "-cpu", "max"]),
        ("cpu:riscv64", "riscv64", ["qemu-riscv64", "-cpu", "rv64"]),
        (
            "cpu:riscv64-v",
            "riscv64",
            ["qemu-riscv64", "-cpu", "rv64,v=true,vlen=128,vext_spec=v1.0"],
        ),
        pytest.param("cpu:new", "armv7l", ["qemu-arm", "-cpu", "max"], id="of-a-later-release"),
        pytest.param("cpu:s390x", "s390x", ["qemu-s390x"], id="of-an-unknown-architecture"),
    ],
)
def test_the_emulated_cpu_is_that_of_the_target(monkeypatch, target, arch, command):
    monkeypatch.setattr(shutil, "which", lambda name: name)
    entry = TargetEntry(name=target, host=HostEntry(arch=arch, cpu_features=()))
    assert emulator_command(entry) == command


def test_a_static_emulator_is_found(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: name if name.endswith("-static") else None)
    assert find_emulator("qemu-aarch64") == "qemu-aarch64-static"
