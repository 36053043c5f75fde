"""A text that the user gives as a file."""

import pytest

from ossc.compiler.text_file import read_text_file
from ossc.targets.errors import UsageError


def test_a_text_is_read(tmp_path):
    (tmp_path / "text").write_text("…", encoding="utf-8")
    assert read_text_file(tmp_path / "text") == "…"


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "bytes").write_bytes(b"\xff")
    with pytest.raises(UsageError, match=r"is not UTF-8 text .*; give a file that is"):
        read_text_file(tmp_path / "bytes")
    with pytest.raises(UsageError, match=r"cannot be read .*; give a text file"):
        read_text_file(tmp_path)
