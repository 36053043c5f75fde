"""Texts from files and stdin."""

import io
import sys

import pytest

from ossc.compiler.cli import input_text
from ossc.compiler.cli.input_text import checked_text, read_bytes, read_text
from ossc.targets.errors import UsageError


def stdin(monkeypatch, data):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), "ascii"))


def test_a_file_is_taken_as_it_is(tmp_path):
    (tmp_path / "prompt").write_bytes("é\r\n\n".encode())
    assert read_text(str(tmp_path / "prompt")) == "é\r\n\n"


def test_stdin_is_utf_8_whatever_the_locale(monkeypatch):
    stdin(monkeypatch, "é".encode())
    assert read_text("-") == "é"


def test_a_closed_stdin_is_a_sentence(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match=r"stdin cannot be read \(it is closed\)"):
        read_text("-")


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "stdin is empty"),
        (b"ab\xc3", r"stdin is not valid UTF-8 \(byte 2 is 0xc3\)"),
        (b"12345", "stdin is longer than 0 MiB"),
    ],
)
def test_other_input_is_refused(monkeypatch, data, sentence):
    monkeypatch.setattr(input_text, "MAX_BYTES", 4)
    stdin(monkeypatch, data)
    with pytest.raises(UsageError, match=sentence):
        read_text("-")


def test_a_file_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere cannot be read \(No such file or directory\)"):
        read_bytes(str(tmp_path / "nowhere"))
    with pytest.raises(UsageError, match="cannot be read"):
        read_bytes("a\0b")


def test_an_argument_that_is_not_utf_8_is_refused():
    with pytest.raises(UsageError, match="The prompt is not valid UTF-8"):
        checked_text("a\udcff", "The prompt")
