"""Where the written file finds its weights."""

import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.oracle.save import default_place, save_model
from ossc.compiler.passes.quantize_weights import QuantizeWeights
from ossc.compiler.quantization.plan import load_plan
from ossc.targets.errors import ExportError, UsageError
from synthetic import make_checkpoint
from synthetic.hub_cache import write_snapshot
from synthetic.odd_bytes import move_to_odd_bytes

IDS = [5, 6, 7]


def run_file(path: Path) -> np.ndarray:
    """Run a written file on its own."""
    session = onnxruntime.InferenceSession(path)
    feeds = {"input_ids": np.array([IDS]), "position_ids": np.arange(len(IDS))[None]}
    for value in session.get_inputs()[2:]:
        feeds[value.name] = np.zeros((1, value.shape[1], 0, value.shape[3]), np.float32)
    return session.run(["logits"], feeds)[0][0]


def locations(path: Path) -> set[str]:
    graph = onnx.load(path, load_external_data=False).graph
    return {
        entry.value
        for tensor in graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }


@pytest.fixture
def source(tmp_path) -> SourceModel:
    return SourceModel.open(make_checkpoint(tmp_path / "model", max_shard_bytes=150_000))


def test_beside_the_checkpoint_it_refers_to_the_files_as_they_are(source):
    model = source.export()
    path = source.path / "model.onnx"
    save_model(model, path)
    assert locations(path) == {entry.file.name for entry in source.checkpoint.tensors.values()}
    np.testing.assert_array_equal(run_file(path), reference_logits(model, IDS).logits)


def test_elsewhere_it_gets_hard_links(source, tmp_path):
    model = source.export()
    path = tmp_path / "elsewhere" / "tiny.onnx"
    path.parent.mkdir()
    save_model(model, path)
    save_model(model, path)  # again, over what is there
    shard = next(iter(source.checkpoint.tensors.values())).file
    assert (path.parent / "tiny.weights" / shard.name).samefile(shard)
    np.testing.assert_array_equal(run_file(path), reference_logits(model, IDS).logits)


def test_links_that_leave_the_folder_become_hard_links(source, tmp_path):
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for file in source.path.iterdir():
        (snapshot / file.name).symlink_to(file)
    model = SourceModel.open(snapshot).export()
    save_model(model, snapshot / "model.onnx")
    assert all(name.startswith("model.weights/") for name in locations(snapshot / "model.onnx"))
    expected = reference_logits(model, IDS).logits
    np.testing.assert_array_equal(run_file(snapshot / "model.onnx"), expected)


def test_the_cache_of_the_hub_is_linked_to_and_never_written_to(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    snapshot = write_snapshot(source.path, tmp_path / "hub")
    before = sorted((tmp_path / "hub").rglob("*"))
    model = SourceModel.open(snapshot).export()
    for folder in (snapshot, snapshot.parent.parent / "blobs"):
        with pytest.raises(UsageError, match="in the cache of the Hugging Face hub"):
            save_model(model, folder / "model.onnx")
    place = default_place(snapshot)
    save_model(model, place)
    assert str(place) == "tiny.onnx"
    assert sorted((tmp_path / "hub").rglob("*")) == before
    np.testing.assert_array_equal(run_file(place), reference_logits(model, IDS).logits)


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("experts", ["mxfp4", "bf16"])
def test_weights_at_odd_bytes_are_run_by_onnxruntime_from_where_they_are(
    tmp_path, experts, elsewhere
):
    folder = make_checkpoint(tmp_path / "model", experts=experts)
    expected = reference_logits(SourceModel.open(folder).export(), IDS).logits
    move_to_odd_bytes(folder)
    path = (tmp_path if elsewhere else folder) / "model.onnx"
    save_model(SourceModel.open(folder).export(), path)
    np.testing.assert_array_equal(run_file(path), expected)


def test_what_a_pass_computes_is_written_beside_the_links(source, tmp_path):
    model = source.export()
    QuantizeWeights(load_plan("default"))(model)
    path = tmp_path / "fused.onnx"
    save_model(model, path)
    assert "fused.weights/computed.bin" in locations(path)
    np.testing.assert_array_equal(run_file(path), reference_logits(model, IDS).logits)


def test_a_model_is_not_changed_by_writing_it(source, tmp_path):
    model = source.export()
    before = model.graph.initializers["lm_head.weight"].const_value
    save_model(model, tmp_path / "out.onnx")
    assert model.graph.initializers["lm_head.weight"].const_value is before


def test_another_file_system_is_refused_and_leaves_nothing(source, tmp_path, monkeypatch):
    def refuse(source: Path, link: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "other").mkdir()
    with pytest.raises(ExportError, match=r"cross-device link.*checkpoint's folder"):
        save_model(source.export(), tmp_path / "other" / "model.onnx")
    assert not list((tmp_path / "other").glob("*.onnx*"))


def test_a_folder_that_is_not_there_is_refused(source, tmp_path):
    with pytest.raises(ExportError, match="No such file or directory; choose a folder"):
        save_model(source.export(), tmp_path / "gone" / "model.onnx")


def test_an_existing_file_stays_when_writing_fails(source, tmp_path, monkeypatch):
    path = tmp_path / "other" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "link", lambda *_: (_ for _ in ()).throw(OSError(28, "No space")))
    with pytest.raises(ExportError):
        save_model(source.export(), path)
    assert path.read_bytes() == b"old"
