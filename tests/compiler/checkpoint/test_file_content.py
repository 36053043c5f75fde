"""Looking at a file of which nothing is known."""

import pytest

from ossc.compiler.checkpoint.file_content import MAX_JSON_BYTES, begins_with, read_fields


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[1]", b"\xff", b"[" * 200_000, b'{"a": 1}' + b" " * MAX_JSON_BYTES + b"x"],
    ids=["empty", "cut", "list", "no-text", "deep", "long"],
)
def test_what_is_no_object_has_no_fields_or_those_that_were_read(tmp_path, content):
    (tmp_path / "x.json").write_bytes(content)
    assert read_fields(tmp_path / "x.json") in ({}, {"a": 1})


def test_the_fields_of_a_json_file_are_read_and_a_missing_file_has_none(tmp_path):
    (tmp_path / "x.json").write_text('{"a": 1}')
    assert read_fields(tmp_path / "x.json") == {"a": 1}
    assert read_fields(tmp_path / "y.json") == read_fields(tmp_path) == {}


def test_a_file_begins_with_its_first_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"GGUF3")
    assert begins_with(tmp_path / "x", b"GGUF")
    assert not begins_with(tmp_path / "x", b"GGUF4")
    assert not begins_with(tmp_path / "x", b"GGUF", max_bytes=4)
    assert not begins_with(tmp_path / "y", b"GGUF")
    assert not begins_with(tmp_path, b"")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    assert not begins_with(tmp_path / "circle", b"")
