"""Advice against failures of the system."""

import errno
import os

import pytest

from ossc.runtimes import system_advice
from ossc.runtimes.system_advice import load_advice, read_advice, start_advice


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EMFILE, "ulimit -n"),
        (errno.ENOMEM, "ulimit -v"),
        (errno.EACCES, "allow this user"),
        (errno.EIO, "copy the bundle elsewhere"),
        (errno.ENOENT, "otherwise"),
    ],
)
def test_advice_fits_the_reason(number, advice):
    assert advice in read_advice(OSError(number, os.strerror(number)), "otherwise")


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.EMFILE, "ulimit -n"), (errno.ENOMEM, "ulimit -v")]
)
def test_the_words_of_the_loader_tell_the_reason(tmp_path, number, advice):
    error = OSError(f"lib.so: cannot map: {os.strerror(number)}")
    assert advice in load_advice(tmp_path, error, "otherwise")


def test_other_words_of_the_loader_have_other_advice(tmp_path):
    assert load_advice(tmp_path, OSError("version GLIBC_2.38 not found"), "glibc") == "glibc"
    assert load_advice(tmp_path / "absent", OSError("no file"), "otherwise") == "otherwise"


def test_a_file_system_that_gives_no_code_is_named(tmp_path, monkeypatch):
    class Noexec:
        f_flag = os.ST_NOEXEC | os.ST_RDONLY

    monkeypatch.setattr(system_advice.os, "statvfs", lambda _: Noexec())
    error = OSError("lib.so: failed to map segment from shared object")
    assert "noexec" in load_advice(tmp_path, error, "it needs glibc")
    assert "noexec" in start_advice(tmp_path, OSError(errno.EACCES, "denied"), "otherwise")


@pytest.mark.parametrize(
    ("number", "advice"), [(errno.EACCES, "chmod"), (errno.ENOMEM, "ulimit -v"), (8, "otherwise")]
)
def test_a_program_that_does_not_start_has_advice(tmp_path, number, advice):
    error = OSError(number, os.strerror(number))
    assert advice in start_advice(tmp_path / "program", error, "otherwise")
