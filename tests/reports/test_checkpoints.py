"""Checkpoints as they lie on people's disks: taken as they are, or answered with what helps."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from ossc.compiler import compile_model
from ossc.runtimes.session import Session
from ossc.targets.errors import OsscError
from reports.edits import IDS, WEIGHTS, edit_json, edit_tensors, logits
from synthetic import SyntheticShape, make_checkpoint
from synthetic.tokenizer import write_tokenizer

INDEX = "model.safetensors.index.json"


def run(bundle: Path) -> np.ndarray:
    """What a bundle computes: ``[n, vocab_size]``."""
    with Session(bundle) as session:
        return session.prefill(IDS, all_logits=True)


def link_as_the_hub_does(folder: Path, repository: Path) -> Path:
    """Move files to blobs, and link them by name in a snapshot."""
    snapshot = repository / "snapshots" / ("0123456789" * 4)
    (repository / "blobs").mkdir(parents=True)
    snapshot.mkdir(parents=True)
    for number, file in enumerate(sorted(folder.iterdir())):
        shutil.move(file, repository / "blobs" / f"b{number}")
        (snapshot / file.name).symlink_to(f"../../blobs/b{number}")
    return snapshot


def test_a_snapshot_of_links_compiles_to_the_same_numbers(
    plain_bundle, recipe, without_code_generation, tmp_path
):
    plain = make_checkpoint(tmp_path / "plain", max_shard_bytes=100_000, generation_config=False)
    snapshot = link_as_the_hub_does(plain, tmp_path / "hub" / "models--org--tiny")
    compiled_bundle = compile_model(recipe(snapshot, tmp_path / "bundle"))
    np.testing.assert_array_equal(run(compiled_bundle), run(plain_bundle))


def test_the_folder_above_a_snapshot_will_do(ossc, tmp_path):
    repository = tmp_path / "hub" / "models--org--tiny"
    link_as_the_hub_does(make_checkpoint(tmp_path / "plain"), repository)
    result = ossc("compile", repository, "--dry-run")
    assert result.exit_code == 0, result.stderr


def test_a_git_lfs_pointer_is_recognised(refusal, tmp_path):
    folder = make_checkpoint(tmp_path)
    (folder / WEIGHTS).write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 13761264768\n"
    )
    sentence = refusal("compile", folder, "--dry-run")
    assert "LFS pointer" in sentence
    assert "lfs pull" in sentence or "hf download" in sentence


def test_a_missing_shard_is_named(refusal, tmp_path):
    folder = make_checkpoint(tmp_path, max_shard_bytes=100_000)
    names = sorted(set(json.loads((folder / INDEX).read_text())["weight_map"].values()))
    (folder / names[1]).unlink()
    assert names[1] in refusal("compile", folder, "--dry-run")


def test_a_missing_tensor_is_named_before_any_work(refusal, tmp_path):
    folder = make_checkpoint(tmp_path)
    name = "model.layers.1.self_attn.sinks"
    edit_tensors(folder, lambda each, values: None if each == name else values)
    assert name in refusal("compile", folder, "--out", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_offsets_beyond_the_file_are_refused(refusal, tmp_path):
    file = make_checkpoint(tmp_path) / WEIGHTS
    data = file.read_bytes()
    file.write_bytes(data[: len(data) - 1000])
    assert WEIGHTS in refusal("compile", tmp_path, "--dry-run")


def test_tensors_at_odd_bytes_are_read(tmp_path):
    folder = make_checkpoint(tmp_path)
    expected = logits(folder)
    data = (folder / WEIGHTS).read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = data[8 : 8 + length].rstrip(b" ")
    header += b" " * (1 - len(header) % 2)  # the data begins at an odd byte
    moved = len(header).to_bytes(8, "little") + header + data[8 + length :]
    (folder / WEIGHTS).write_bytes(moved)
    np.testing.assert_array_equal(logits(folder), expected)


@pytest.mark.parametrize("experts", ["mxfp4", "bf16"])
def test_a_checkpoint_saved_in_float32_computes_what_it_holds(tmp_path, experts):
    folder = make_checkpoint(tmp_path, experts=experts)
    expected = logits(folder)
    edit_tensors(
        folder, lambda _, values: values if values.dtype == np.uint8 else values.astype(np.float32)
    )
    edit_json(folder / "config.json", torch_dtype="float32")
    np.testing.assert_allclose(logits(folder), expected, rtol=0, atol=1e-5)


def test_routers_and_norms_in_float32_beside_mxfp4_are_kept(tmp_path):
    folder = make_checkpoint(tmp_path)
    expected = logits(folder)

    def widen(name, values):
        if "norm" not in name and "router" not in name:
            return values
        return values.astype(np.float32) * np.float32(1 + 2**-20)  # bfloat16 has no such value

    edit_tensors(folder, widen)
    difference = np.abs(logits(folder) - expected).max()
    assert 0 < difference < 1e-3


def test_a_checkpoint_saved_in_float16_computes_what_it_holds(tmp_path):
    folder = make_checkpoint(tmp_path, experts="bf16")
    expected = logits(folder)
    edit_tensors(folder, lambda _, values: values.astype(np.float16))
    edit_json(folder / "config.json", torch_dtype="float16")
    np.testing.assert_allclose(logits(folder), expected, rtol=0, atol=1e-3)


def test_a_fine_tune_in_bfloat16_is_read_with_its_own_layout(ossc, tmp_path):
    folder = make_checkpoint(tmp_path, experts="bf16", config_form=5)
    result = ossc("compile", folder, "--dry-run")
    assert result.exit_code == 0, result.stderr


def adapter(folder: Path) -> None:
    """Write what PEFT writes."""
    settings = {"peft_type": "LORA", "r": 8, "base_model_name_or_path": "openai/gpt-oss-20b"}
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    matrix = np.zeros((8, 64), np.float32)
    save_file({"base_model.model.x.lora_A.weight": matrix}, folder / "adapter_model.safetensors")


def test_a_folder_with_only_an_adapter_is_told_to_merge(refusal, tmp_path):
    adapter(tmp_path)
    assert "merge" in refusal("compile", tmp_path, "--dry-run")


def test_an_adapter_beside_the_weights_is_not_ignored(refusal, tmp_path):
    adapter(make_checkpoint(tmp_path))
    assert "merge" in refusal("compile", tmp_path, "--dry-run")


@pytest.mark.parametrize("inside", [True, False], ids=["in the folder", "the file"])
def test_a_gguf_is_recognised(refusal, tmp_path, inside):
    file = tmp_path / "model-Q4_K_M.gguf"
    file.write_bytes(b"GGUF\x03\x00\x00\x00" + bytes(64))
    sentence = refusal("compile", tmp_path if inside else file, "--dry-run")
    assert re.search("gguf", sentence, re.IGNORECASE)
    assert "safetensors" in sentence or "hf download" in sentence


def test_pickled_weights_are_recognised(refusal, tmp_path):
    (make_checkpoint(tmp_path) / WEIGHTS).rename(tmp_path / "pytorch_model.bin")
    sentence = refusal("compile", tmp_path, "--dry-run")
    assert "pytorch_model.bin" in sentence
    assert "safetensors" in sentence


def test_a_checkpoint_of_mlx_is_recognised(refusal, tmp_path):
    folder = make_checkpoint(tmp_path)
    edit_json(
        folder / "config.json",
        remove=("quantization_config",),
        quantization={"group_size": 32, "bits": 4, "mode": "mxfp4"},
    )
    edit_tensors(
        folder,
        lambda name, values: None if name.endswith("_blocks") else values,
    )
    assert "MLX" in refusal("compile", folder, "--dry-run")


def test_a_name_on_the_hub_is_answered_with_how_to_get_it(refusal, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    assert "hf download openai/gpt-oss-20b" in refusal("compile", "openai/gpt-oss-20b", "--dry-run")


def test_text_files_that_cannot_be_read_are_refused_when_compiling(
    recipe, without_code_generation, tmp_path
):
    folder = make_checkpoint(tmp_path / "model", tokenizer=True)
    write_tokenizer(folder, SyntheticShape())
    (folder / "chat_template.jinja").write_bytes(b"{{ '\xff\xfe' }}")
    with pytest.raises(OsscError, match=r"chat_template\.jinja"):
        compile_model(recipe(folder, tmp_path / "bundle"))
    assert not (tmp_path / "bundle").exists()
