"""``ossc export``."""

import onnx

from synthetic import make_checkpoint
from synthetic.hub_cache import write_snapshot


def test_the_onnx_is_in_the_models_folder_and_its_path_on_stdout(ossc, tmp_path):
    model = make_checkpoint(tmp_path / "model")
    result = ossc("export", model)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{model / 'model.onnx'}\n"
    onnx.checker.check_model(str(model / "model.onnx"))


def test_elsewhere_the_weights_are_linked_beside_the_onnx(ossc, tmp_path):
    model, place = make_checkpoint(tmp_path / "model"), tmp_path / "other" / "graph.onnx"
    place.parent.mkdir()
    result = ossc("export", model, "--out", place)
    assert result.stdout == f"{place}\n"
    assert place.is_file()
    link = place.parent / "graph.weights" / "model.safetensors"
    assert link.samefile(model / "model.safetensors")
    assert not (model / "model.onnx").exists()


def test_a_model_of_the_hubs_cache_is_written_to_the_current_folder(
    ossc, refusal, tmp_path, monkeypatch
):
    snapshot = write_snapshot(make_checkpoint(tmp_path / "model"), tmp_path / "hub")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "current").mkdir()
    monkeypatch.chdir(tmp_path / "current")
    for model in ("org/tiny", snapshot, snapshot.parent.parent):
        assert ossc("export", model).stdout == "tiny.onnx\n"
        assert onnx.load("tiny.onnx", load_external_data=False).graph.initializer
    sentence = refusal("export", "org/tiny", "--out", snapshot / "model.onnx", exit_code=2)
    assert "is in the cache of the Hugging Face hub" in sentence
    monkeypatch.chdir(snapshot)
    assert "choose an --out elsewhere" in refusal("export", ".", exit_code=2)
    assert not list((tmp_path / "hub").rglob("*.onnx*"))


def test_what_is_no_checkpoint_is_refused(refusal, tmp_path):
    assert "give one that holds config.json" in refusal("export", tmp_path / "nothing")
    assert "config.json is not there" in refusal("export", tmp_path)


def test_a_place_that_cannot_be_written_is_refused(refusal, tmp_path):
    model = make_checkpoint(tmp_path / "model")
    (tmp_path / "file").touch()
    assert "Not a directory" in refusal("export", model, "--out", tmp_path / "file" / "x.onnx")
    assert "No such file or directory" in refusal("export", model, "--out", tmp_path / "a" / "b")
    assert "Is a directory" in refusal("export", model, "--out", tmp_path)


def test_a_note_is_on_stderr_and_only_the_path_on_stdout(ossc, tmp_path):
    model = make_checkpoint(tmp_path / "model", generation_config=False)
    result = ossc("export", model)
    assert result.stdout == f"{model / 'model.onnx'}\n"
    assert result.stderr.startswith("Note: ")
