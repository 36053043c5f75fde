"""Damaged and hostile safetensors files: each is refused with one sentence that names it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ossc.compiler.checkpoint.safetensors_header import read_header
from ossc.targets.errors import CheckpointError

Header = dict[str, Any]

HEADER: Header = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "BF16", "shape": [2, 4], "data_offsets": [0, 16]},
    "b": {"dtype": "U8", "shape": [3], "data_offsets": [16, 19]},
    "c": {"dtype": "U8", "shape": [5], "data_offsets": [19, 24]},
}
DATA = bytes(range(24))


def encode(header: object, data: bytes = DATA) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def with_tensor(name: str, **fields: object) -> bytes:
    return encode(HEADER | {name: HEADER[name] | fields})


def without(name: str, field: str) -> bytes:
    return encode(HEADER | {name: {k: v for k, v in HEADER[name].items() if k != field}})


def repeated_key() -> bytes:
    text = json.dumps(HEADER)
    return encode((text[:-1] + ', "b": ' + json.dumps(HEADER["b"]) + "}").encode())


def nested(depth: int) -> bytes:
    return encode(b'{"a": ' + b"[" * depth + b"]" * depth + b"}")


GOOD = encode(HEADER)

ATTACKS = [
    pytest.param(b"", r"truncated: it has 0 bytes", id="empty"),
    pytest.param(GOOD[:7], r"truncated: it has 7 bytes", id="shorter-than-the-length"),
    pytest.param(GOOD[:20], r"truncated: its header ends at byte", id="truncated-header"),
    pytest.param(GOOD[:-1], r"tensor 'c' ends at byte \d+, but the file has", id="truncated-data"),
    pytest.param(GOOD[:-20], r"tensor 'a' ends at byte", id="truncated-early"),
    pytest.param(GOOD + b"\0", r"holds nothing after them", id="trailing-byte"),
    pytest.param(b"\xff" * 8 + GOOD[8:], r"claims a header of 18446744073709551615", id="length"),
    pytest.param((10**8 + 1).to_bytes(8, "little") + GOOD[8:], r"claims a header", id="too-large"),
    pytest.param(encode(b"GGUF"), r"is not valid JSON", id="not-json"),
    pytest.param(encode(b"\xff\xfe{}"), r"is not valid JSON", id="not-utf-8"),
    pytest.param(encode([1]), r"has to hold a JSON object", id="no-object"),
    pytest.param(encode(b""), r"is not valid JSON", id="no-header"),
    pytest.param(nested(100_000), r"is nested too deeply", id="deep"),
    pytest.param(repeated_key(), r"the key 'b' is there more than once", id="repeated-tensor"),
    pytest.param(encode(HEADER | {"b": 7}), r"tensor 'b' is described by 7", id="no-entry"),
    pytest.param(without("b", "dtype"), r"tensor 'b' is described by", id="no-dtype"),
    pytest.param(without("b", "shape"), r"tensor 'b' is described by", id="no-shape"),
    pytest.param(without("b", "data_offsets"), r"tensor 'b' is described by", id="no-offsets"),
    pytest.param(with_tensor("b", x=1), r"tensor 'b' is described by", id="unknown-field"),
    pytest.param(with_tensor("b", dtype="F4"), r"tensor 'b' has the dtype 'F4'", id="dtype"),
    pytest.param(with_tensor("b", dtype=["U8"]), r"has the dtype \['U8'\]", id="dtype-type"),
    pytest.param(with_tensor("b", shape=3), r"tensor 'b' has the shape 3", id="shape-type"),
    pytest.param(with_tensor("b", shape=[-3]), r"tensor 'b' has the shape", id="negative-shape"),
    pytest.param(with_tensor("b", shape=[3.0]), r"tensor 'b' has the shape", id="float-shape"),
    pytest.param(with_tensor("b", shape=[True, 3]), r"'b' has the shape", id="boolean-shape"),
    pytest.param(with_tensor("b", shape=[2**63]), r"'b' has the shape", id="huge-dimension"),
    pytest.param(with_tensor("b", shape=[4]), r"'b' has 3 bytes, but U8 \[4\]", id="wrong-shape"),
    pytest.param(with_tensor("b", dtype="F32"), r"'b' has 3 bytes, but F32", id="wrong-dtype"),
    pytest.param(
        with_tensor("b", shape=[2**62, 2**62]), r"'b' has 3 bytes, but U8", id="overflowing-shape"
    ),
    pytest.param(
        with_tensor("b", shape=[0], data_offsets=[16, 16]),
        r"tensor 'b' is empty",
        id="empty-tensor",
    ),
    pytest.param(
        with_tensor("b", data_offsets=[19, 16]), r"not a begin and an end", id="backwards"
    ),
    pytest.param(with_tensor("b", data_offsets=[-1, 2]), r"'b' has the data_offs", id="negative"),
    pytest.param(with_tensor("b", data_offsets=[16]), r"'b' has the data_offs", id="one-offset"),
    pytest.param(
        with_tensor("b", data_offsets=[15, 18]),
        r"'b' begins at byte .* inside of 'a'",
        id="overlap",
    ),
    pytest.param(
        with_tensor("c", data_offsets=[16, 21]), r"inside of '[bc]'", id="overlap-same-begin"
    ),
    pytest.param(
        with_tensor("b", data_offsets=[17, 20]), r"'b' begins at byte .*, 1 bytes after", id="gap"
    ),
    pytest.param(
        with_tensor("c", data_offsets=[2**40, 2**40 + 5]), r"'c' ends at byte", id="out-of-range"
    ),
]


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as refused:
        read_header(path)
    message = str(refused.value)
    assert str(path) in message
    assert message.endswith(".")
    assert "\n" not in message
    assert len(message) < 600
    return message


@pytest.mark.parametrize(("content", "sentence"), ATTACKS)
def test_a_bad_file_is_refused_in_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=sentence):
        read_header(path)
    refusal(path)


def test_the_file_that_the_attacks_change_is_good(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(GOOD)
    entries = read_header(path)
    begin = len(GOOD) - len(DATA)
    assert [(e.name, e.offset_bytes - begin, e.length_bytes) for e in entries.values()] == [
        ("a", 0, 16),
        ("b", 16, 3),
        ("c", 19, 5),
    ]


@pytest.mark.parametrize("padding", [b"", b" ", b"  "])
def test_a_tensor_may_begin_at_any_byte(tmp_path, padding):
    header = {
        "b": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]},
        "a": {"dtype": "BF16", "shape": [2], "data_offsets": [3, 7]},
    }
    text = json.dumps(header).encode() + padding
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + DATA[:7])
    entry = read_header(path)["a"]
    assert path.read_bytes()[entry.offset_bytes : entry.end_bytes] == DATA[3:7]


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(Path.mkdir, id="folder"),
        pytest.param(os.mkfifo, id="pipe"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), id="device"),
    ],
)
def test_what_is_no_regular_file_is_refused_and_never_waited_for(
    tmp_path, make: Callable[[Path], None]
):
    path = tmp_path / "model.safetensors"
    make(path)
    assert "is not a regular file" in refusal(path)


def test_a_missing_file_is_named(tmp_path):
    assert "is missing" in refusal(tmp_path / "model.safetensors")


def test_a_link_to_nothing_is_a_missing_file(tmp_path):
    path = tmp_path / "model.safetensors"
    path.symlink_to(tmp_path / "blob")
    assert "is missing" in refusal(path)


def test_links_in_a_circle_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    path.symlink_to(path)
    assert "cannot be read" in refusal(path)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, len(GOOD) - len(DATA) - 1), st.integers(1, 255))
def test_no_changed_byte_of_a_header_is_more_than_a_refusal(tmp_path_factory, place, change):
    content = bytearray(GOOD)
    content[place] ^= change
    path = tmp_path_factory.mktemp("flip") / "model.safetensors"
    path.write_bytes(content)
    try:
        entries = read_header(path).values()
    except CheckpointError:
        return
    assert all(entry.end_bytes <= len(content) for entry in entries)
