"""What a user may write as MODEL, and the folder that is meant."""

import pytest

from ossc.compiler.checkpoint.hub_cache import Repository
from ossc.compiler.checkpoint.model_folder import find_model_folder
from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.targets.errors import CheckpointError
from synthetic import make_checkpoint
from synthetic.hub_cache import COMMIT, write_snapshot

OTHER = "f" * 40


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """An empty cache of the hub, and an empty current folder."""
    (tmp_path / "current").mkdir()
    monkeypatch.chdir(tmp_path / "current")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def snapshot(tmp_path, hub):
    """The snapshot of ``org/tiny`` that ``main`` names."""
    return write_snapshot(make_checkpoint(tmp_path / "model"), hub)


def refusal(model: object) -> str:
    with pytest.raises(CheckpointError) as refused:
        find_model_folder(model)
    message = str(refused.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def test_a_folder_is_taken_as_it_is_written(snapshot, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path / "model", snapshot):
        assert find_model_folder(folder) == folder
    assert str(find_model_folder("model")) == "model"


def test_a_folder_goes_before_a_model_of_the_cache(snapshot, tmp_path, monkeypatch):
    make_checkpoint(tmp_path / "current" / "org" / "tiny")
    assert str(find_model_folder("org/tiny")) == "org/tiny"


@pytest.mark.parametrize("name", ["", "snapshots"])
def test_the_folder_of_a_cached_model_means_its_one_snapshot(snapshot, hub, name):
    assert find_model_folder(hub / "models--org--tiny" / name) == snapshot
    assert Checkpoint.open(hub / "models--org--tiny" / name).path == snapshot


def test_the_folder_of_a_cached_model_with_several_snapshots_lists_them(snapshot, tmp_path, hub):
    other = write_snapshot(tmp_path / "model", hub, commit=OTHER, revision=None)
    message = refusal(hub / "models--org--tiny")
    assert f"holds 2 snapshots of the model; give one of them: {snapshot}, {other}." in message


def test_the_folder_of_a_model_whose_download_did_not_begin_is_refused(hub):
    (hub / "models--org--tiny" / "snapshots").mkdir(parents=True)
    message = refusal(hub / "models--org--tiny")
    assert 'holds no snapshot of the model; get it with hf download org/tiny --exclude "' in message


@pytest.mark.parametrize(
    "model", ["org/tiny", "org/tiny@main", "org/tiny@refs/pr/1", f"org/tiny@{COMMIT}", "org/tiny/"]
)
def test_an_id_means_the_snapshot_of_its_revision(snapshot, tmp_path, hub, model):
    write_snapshot(tmp_path / "model", hub, commit=OTHER, revision="v2")
    (hub / "models--org--tiny" / "refs" / "refs" / "pr").mkdir(parents=True)
    (hub / "models--org--tiny" / "refs" / "refs" / "pr" / "1").write_text(COMMIT)
    assert find_model_folder(model) == snapshot
    assert find_model_folder("org/tiny@v2").name == OTHER


def test_an_id_without_main_in_the_cache_means_its_only_snapshot(tmp_path, hub):
    snapshot = write_snapshot(make_checkpoint(tmp_path / "model"), hub, revision=None)
    assert find_model_folder("org/tiny") == snapshot
    write_snapshot(tmp_path / "model", hub, commit=OTHER, revision=None)
    assert "org/tiny holds 2 snapshots" in refusal("org/tiny")


@pytest.mark.parametrize(
    ("model", "command"),
    [
        ("openai/gpt-oss-20b", 'hf download openai/gpt-oss-20b --exclude "*/*"'),
        ("org/tiny@v3", 'hf download org/tiny --revision v3 --exclude "*/*"'),
        (f"org/tiny@{OTHER}", f'hf download org/tiny --revision {OTHER} --exclude "*/*"'),
    ],
)
def test_an_id_that_is_not_in_the_cache_is_answered_with_the_command_that_gets_it(
    snapshot, hub, model, command
):
    message = refusal(model)
    assert f"{model} is no folder here, and as an id" in message
    assert f"not in the cache {hub}; get it with {command} and run this again, or" in message


def test_main_may_name_a_commit_that_was_not_downloaded(snapshot, hub):
    (hub / "models--org--tiny" / "refs" / "main").write_text(OTHER)
    assert "get it with hf download org/tiny" in refusal("org/tiny")


@pytest.mark.parametrize("content", [b"", b"../../../x", b"\xff" * 99, b"0" * 10**6])
def test_a_reference_that_holds_no_commit_is_not_followed(snapshot, hub, content):
    (hub / "models--org--tiny" / "refs" / "main").write_bytes(content)
    assert Repository(path=hub / "models--org--tiny").commit("main") is None
    assert find_model_folder("org/tiny") == snapshot


@pytest.mark.parametrize(
    "model",
    [
        "org/tiny@../main",
        "org/tiny@",
        "org/tiny@/etc",
        "org/../tiny",
        "../org/tiny",
        "org--tiny",
        "a/b/c",
        "nothing",
        "/nothing",
        "org/ti\nny",
        "org/tiny\0",
        "o/" + "x" * 5000,
    ],
)
def test_what_is_neither_a_folder_nor_an_id_is_refused(snapshot, model):
    with pytest.raises(CheckpointError, match=r"not a folder|cannot be read|no folder"):
        Checkpoint.open(model)


def test_the_cache_itself_is_answered_with_the_models_that_it_holds(snapshot, hub):
    assert "give one of its models (org/tiny)." in refusal(hub)


def test_a_snapshot_that_is_not_whole_is_answered_with_the_command_that_gets_the_rest(snapshot):
    (snapshot / "model.safetensors").unlink()
    with pytest.raises(CheckpointError) as refused:
        Checkpoint.open("org/tiny")
    assert f'hf download org/tiny --revision {COMMIT} --exclude "*/*"' in str(refused.value)
