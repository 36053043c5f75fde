"""Running ``ossc-run`` through an emulator; a script that only starts it stands in for qemu."""

import os
import shutil

import pytest

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.emulation import find_emulator, run_emulated
from ossc.runtimes.run_report import RunOptions
from ossc.runtimes.session import Session
from ossc.targets.errors import BundleError, SessionError
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
    ],
)
def test_the_executable_gives_the_tokens_of_the_library(tiny_bundle, emulator, options):
    report = run_emulated(Bundle.open(tiny_bundle), PROMPT, options)
    with Session(tiny_bundle, threads=1) as session:
        expected = session.generate(
            PROMPT,
            max_new_tokens=options.max_new_tokens,
            temperature=options.temperature,
            top_p=options.top_p,
            seed=options.seed,
        )
        assert report.token_ids == tuple(expected)
    assert (report.emulator, report.prefill_tokens) == (emulator, len(PROMPT))
    assert report.token_ids


def test_every_option_reaches_the_program(tiny_bundle, emulator, tmp_path):
    options = RunOptions(
        max_new_tokens=2, temperature=0.5, top_p=0.9, seed=3, threads=4, weights="resident"
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
        "--threads": "4",
        "--weights": "resident",
        "--kv": "f32",
        "--format": "json",
    }


def test_a_refused_prompt_is_an_error_without_the_program_s_name(tiny_bundle, emulator):
    with pytest.raises(SessionError, match=r"^30 tokens do not fit"):
        run_emulated(Bundle.open(tiny_bundle), [1] * (CONTEXT + 6), RunOptions())


def test_a_bundle_without_an_executable_is_refused(tmp_path, emulator):
    with pytest.raises(BundleError, match="has no ossc-run"):
        run_emulated(Bundle.open(write_bundle(tmp_path / "b")), PROMPT, RunOptions())


def test_a_missing_emulator_is_named_with_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SessionError, match="qemu-riscv64 is not installed; install it"):
        find_emulator("riscv64")


def test_a_static_emulator_is_found(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: name if name.endswith("-static") else None)
    assert find_emulator("aarch64") == "qemu-aarch64-static"
