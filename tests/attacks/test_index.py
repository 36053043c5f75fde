"""Hostile and damaged shard indexes, and folders that lack what the index names."""

import json
import os
from pathlib import Path

import pytest

from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.targets.errors import CheckpointError
from synthetic import make_checkpoint

INDEX = "model.safetensors.index.json"
TENSOR = "model.norm.weight"


@pytest.fixture
def sharded(tmp_path):
    return make_checkpoint(tmp_path / "model", max_shard_bytes=100_000)


def edit_index(path: Path, **weight_map: object) -> None:
    index = json.loads((path / INDEX).read_text())
    index["weight_map"] |= weight_map
    (path / INDEX).write_text(json.dumps(index))


def weight_map(path: Path) -> dict[str, str]:
    return json.loads((path / INDEX).read_text())["weight_map"]


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as refused:
        Checkpoint.open(path)
    message = str(refused.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    "file",
    [
        "../secret.safetensors",
        "/etc/secret.safetensors",
        "folder/model.safetensors",
        "..\\model.safetensors",
        "C:model.safetensors",
        "model.safetensors\0",
        "model\n.safetensors",
        "a" * 5000 + ".safetensors",
        "config.json",
        "..",
        "",
        7,
        None,
        ["model.safetensors"],
    ],
)
def test_a_shard_outside_of_the_folder_is_refused_before_any_file_is_opened(sharded, file):
    (sharded.parent / "secret.safetensors").symlink_to("/dev/zero")
    edit_index(sharded, **{TENSOR: file})
    message = refusal(sharded)
    assert "has to be a .safetensors file of the same folder" in message
    assert repr(TENSOR) in message


def test_a_missing_shard_is_named_with_a_tensor_that_it_should_hold(sharded):
    file = weight_map(sharded)[TENSOR]
    (sharded / file).unlink()
    message = refusal(sharded)
    assert f"{file} is missing" in message
    assert any(repr(name) in message for name, f in weight_map(sharded).items() if f == file)


def test_a_truncated_shard_is_named_with_its_tensor(sharded):
    file = sharded / weight_map(sharded)[TENSOR]
    os.truncate(file, file.stat().st_size - 1)
    message = refusal(sharded)
    assert str(file) in message
    assert "ends at byte" in message


def test_a_tensor_that_its_shard_lacks_is_named(sharded):
    file = weight_map(sharded)[TENSOR]
    edit_index(sharded, **{"model.extra": file})
    message = refusal(sharded)
    assert f"{file} lacks tensor 'model.extra'" in message


def test_a_tensor_that_is_in_another_shard_is_named(sharded):
    other = next(f for f in weight_map(sharded).values() if f != weight_map(sharded)[TENSOR])
    edit_index(sharded, **{TENSOR: other})
    assert f"holds tensor {TENSOR!r}, but {INDEX} says that it is in {other}" in refusal(sharded)


def test_a_tensor_that_the_index_leaves_out_is_named(sharded):
    index = json.loads((sharded / INDEX).read_text())
    del index["weight_map"][TENSOR]
    (sharded / INDEX).write_text(json.dumps(index))
    assert f"holds tensor {TENSOR!r}, but {INDEX} says that it is in no file" in refusal(sharded)


def test_a_single_file_beside_an_index_that_does_not_name_it_is_refused(sharded):
    (sharded / "model.safetensors").write_bytes(b"")
    assert "remove the one that is not meant" in refusal(sharded)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param("", "is not valid JSON", id="empty"),
        pytest.param("[]", "has to hold a JSON object", id="list"),
        pytest.param("{}", "lacks 'weight_map'", id="no-map"),
        pytest.param('{"weight_map": []}', "gives 'weight_map' as []", id="map-is-a-list"),
        pytest.param('{"weight_map": {"a": "b", "a": "b"}}', "more than once", id="repeated"),
    ],
)
def test_an_index_that_is_none_is_refused(sharded, content, sentence):
    (sharded / INDEX).write_text(content)
    message = refusal(sharded)
    assert sentence in message
    assert INDEX in message


def test_a_huge_index_is_not_read(sharded):
    os.truncate(sharded / INDEX, 10**9)
    assert "is larger than 100000000 bytes" in refusal(sharded)


def test_a_folder_without_weights_is_told_what_is_needed(sharded):
    for file in sharded.glob("*.safetensors*"):
        file.unlink()
    assert "has neither model.safetensors nor" in refusal(sharded)


def test_a_path_that_is_no_folder_is_refused(tmp_path):
    assert "is not a folder" in refusal(tmp_path / "absent")
