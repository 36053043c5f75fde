"""The local cache of the Hugging Face hub."""

import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub.utils import filter_repo_objects

from ossc.compiler.checkpoint.hub_cache import (
    cache_folder,
    download_command,
    find_repository,
    is_in_cache,
    model_name,
    require_outside_cache,
)
from ossc.targets.errors import UsageError
from synthetic import make_checkpoint
from synthetic.hub_cache import write_snapshot

VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"HF_HUB_CACHE": "/a/hub"},
        {"HF_HUB_CACHE": "~/hub"},
        {"HF_HUB_CACHE": "$HOME/hub", "HF_HOME": "/b"},
        {"HUGGINGFACE_HUB_CACHE": "/c"},
        {"HF_HOME": "/d"},
        {"HF_HOME": "~/d"},
        {"XDG_CACHE_HOME": "/e"},
    ],
    ids=str,
)
def test_the_cache_is_where_the_hubs_own_library_looks(monkeypatch, given):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    script = "from huggingface_hub.constants import HF_HUB_CACHE; print(HF_HUB_CACHE)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert cache_folder() == Path(done.stdout.strip())


def test_the_download_leaves_out_the_further_copies_of_the_weights():
    assert download_command("o/n", "v1") == 'hf download o/n --revision v1 --exclude "*/*"'
    files = ["config.json", "model-00000-of-00002.safetensors", "original/config.json"]
    files += ["original/model.safetensors", "metal/model.bin"]
    assert list(filter_repo_objects(files, ignore_patterns=["*/*"])) == files[:2]


@pytest.fixture
def snapshot(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return write_snapshot(make_checkpoint(tmp_path / "model"), tmp_path / "hub")


def test_a_model_is_found_under_its_id(snapshot):
    repository = find_repository("org/tiny")
    assert repository.path == snapshot.parent.parent
    assert repository.hub_id == "org/tiny"
    assert repository.snapshots == [snapshot]
    assert find_repository("org/other").snapshots == []


def test_things_are_named_after_the_model_and_not_after_the_commit(snapshot, tmp_path):
    assert model_name(snapshot) == "tiny"
    assert model_name(tmp_path / "model") == "model"
    (tmp_path / "link").symlink_to(snapshot)
    assert model_name(tmp_path / "link") == "tiny"


def test_a_cache_is_known_by_its_place_and_by_its_layout(snapshot, tmp_path, monkeypatch):
    monkeypatch.delenv("HF_HUB_CACHE")
    inside = [snapshot, snapshot / "model.onnx", snapshot / "a" / "b"]
    inside += [snapshot.parent.parent / name for name in ("x.onnx", "blobs/x", "refs/x")]
    inside.append(cache_folder() / "x.onnx")
    (tmp_path / "link").symlink_to(snapshot)
    inside.append(tmp_path / "link" / "x.onnx")
    for path in inside:
        assert is_in_cache(path)
        with pytest.raises(
            UsageError, match=r"cache of the Hugging Face hub.*choose an --out else"
        ):
            require_outside_cache(path)
    for path in (tmp_path / "x.onnx", tmp_path / "model" / "x.onnx", Path("x.onnx")):
        assert not is_in_cache(path)
