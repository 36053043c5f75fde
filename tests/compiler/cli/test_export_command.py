"""``ossc export``."""

import onnx

from synthetic import make_checkpoint


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
