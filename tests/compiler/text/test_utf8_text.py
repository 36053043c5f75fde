"""Texts that users give as files."""

import pytest

from ossc.compiler.text.utf8_text import read_utf8
from ossc.targets.errors import UsageError


def test_a_text_is_read(tmp_path):
    (tmp_path / "text").write_bytes("你好\n".encode())
    assert read_utf8(tmp_path / "text") == "你好\n"


def test_another_encoding_is_refused(tmp_path):
    (tmp_path / "text").write_bytes(b"caf\xe9")
    with pytest.raises(UsageError, match=r"text is not UTF-8 text \(at byte 3\); save it"):
        read_utf8(tmp_path / "text")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_utf8(tmp_path / "text")
