"""Opening a checkpoint, and reading its tensors."""

import json
import os
import resource
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from safetensors.torch import load_file
from torch.distributed import checkpoint as distributed_checkpoint
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter

from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.checkpoint.safetensors_header import DTYPE_BYTES
from ossc.compiler.families.source_model import SourceModel
from ossc.targets.errors import CheckpointError, ConfigError
from synthetic import GPT_OSS_120B, SyntheticShape, make_checkpoint

BLOCKS = "model.layers.0.mlp.experts.gate_up_proj_blocks"
NORM = "model.norm.weight"


@pytest.fixture
def model(tmp_path):
    return make_checkpoint(tmp_path / "model")


def bits(path: Path) -> dict[str, bytes]:
    checkpoint = Checkpoint.open(path)
    return {name: checkpoint.tensor(name).tobytes() for name in checkpoint.tensors}


def test_every_tensor_is_what_the_safetensors_library_reads(model):
    checkpoint = Checkpoint.open(model)
    with safe_open(model / "model.safetensors", "pt") as file:
        assert set(checkpoint.tensors) == set(file.keys())
        for name, entry in checkpoint.tensors.items():
            theirs = file.get_tensor(name)
            ours = checkpoint.tensor(name)
            assert ours.shape == entry.shape == tuple(theirs.shape)
            assert ours.tobytes() == theirs.view(torch.uint8).numpy().tobytes()


@pytest.mark.parametrize("dtype", sorted(set(DTYPE_BYTES) - {"BF16"}))
def test_every_dtype_has_elements_of_its_size(model, dtype):
    array = np.zeros(4, "u1").repeat(DTYPE_BYTES[dtype])
    header = {"x": {"dtype": dtype, "shape": [4], "data_offsets": [0, array.size]}}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file = model / "model.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text + array.tobytes())
    assert Checkpoint.open(model).tensor("x").shape == (4,)


def test_values_are_those_that_were_saved(model):
    norm = np.arange(8, dtype=np.float32).astype(ml_dtypes.bfloat16)
    save_file({NORM: norm, "scalar": np.array(3, np.int64)}, model / "model.safetensors")
    checkpoint = Checkpoint.open(model)
    assert checkpoint.tensor(NORM).dtype == ml_dtypes.bfloat16
    assert checkpoint.tensor(NORM).tolist() == list(range(8))
    assert checkpoint.tensor("scalar").shape == ()
    assert checkpoint.tensor("scalar") == 3


def test_a_tensor_is_mapped_and_cannot_be_written(model):
    tensor = Checkpoint.open(model).tensor(BLOCKS)
    assert isinstance(tensor, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        tensor[0] = 0


def test_shards_hold_the_same_as_one_file(tmp_path, model):
    shards = make_checkpoint(tmp_path / "shards", max_shard_bytes=60_000)
    assert len(list(shards.glob("*.safetensors"))) > 3
    assert bits(shards) == bits(model)


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled:UserWarning")
def test_a_file_that_pytorch_consolidated_is_read_though_its_tensors_are_at_odd_bytes(tmp_path):
    """Only of floats: PyTorch 2.13 consolidates no tensors of integers, such as MXFP4's."""
    model = make_checkpoint(tmp_path / "model", experts="bf16")
    written = tmp_path / "written"
    distributed_checkpoint.save(
        load_file(model / "model.safetensors"),
        storage_writer=HuggingFaceStorageWriter(
            str(written), save_distributed=True, enable_consolidation=True
        ),
        no_dist=True,
    )
    shutil.copy(model / "config.json", written)
    shutil.copy(model / "generation_config.json", written)
    entries = Checkpoint.open(written).tensors.values()
    assert any(entry.offset_bytes % 2 for entry in entries)
    assert bits(written) == bits(model)


def test_a_single_file_with_an_index_is_read(model):
    weight_map = dict.fromkeys(Checkpoint.open(model).tensors, "model.safetensors")
    index = model / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    assert set(Checkpoint.open(model).tensors) == set(weight_map)


@pytest.mark.parametrize("max_shard_bytes", [None, 60_000], ids=["single", "sharded"])
def test_a_snapshot_of_links_to_blobs_is_read(tmp_path, max_shard_bytes):
    model = make_checkpoint(tmp_path / "model", max_shard_bytes=max_shard_bytes)
    snapshot, blobs = tmp_path / "snapshots" / "0123", tmp_path / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for i, file in enumerate(sorted(model.iterdir())):
        shutil.copy(file, blobs / f"{i:04x}")
        (snapshot / file.name).symlink_to(f"../../blobs/{i:04x}")
    assert bits(snapshot) == bits(model)


@pytest.mark.parametrize("file", ["model.safetensors", "model.safetensors.index.json"])
def test_a_link_to_nothing_is_missing_and_is_not_passed_over(model, file):
    """As in a snapshot whose download broke off."""
    (model / file).unlink(missing_ok=True)
    (model / file).symlink_to("blob")
    with pytest.raises(CheckpointError, match=rf"{file} is (missing|not there)"):
        Checkpoint.open(model)


def test_the_bf16_layout_of_fine_tunes_is_read(tmp_path):
    shape = SyntheticShape(num_local_experts=3, hidden_size=40, intermediate_size=24)
    checkpoint = Checkpoint.open(make_checkpoint(tmp_path, shape, experts="bf16"))
    name = "model.layers.1.mlp.experts.gate_up_proj"
    assert checkpoint.require(name, ["BF16"], (3, 40, 48)).length_bytes == 3 * 40 * 48 * 2


def test_a_required_tensor_that_is_there_is_returned(model):
    entry = Checkpoint.open(model).require(NORM, ["F32", "BF16"], (64,))
    assert (entry.name, entry.file) == (NORM, model / "model.safetensors")


@pytest.mark.parametrize(
    ("name", "dtypes", "shape", "sentence"),
    [
        pytest.param("model.x", ["BF16"], (64,), r"has no tensor 'model.x'", id="missing"),
        pytest.param(
            NORM, ["F16", "F32"], (64,), rf"'{NORM}' is BF16, but has to be F16 or F32", id="dtype"
        ),
        pytest.param(NORM, ["BF16"], (65,), rf"'{NORM}' has the shape \[64\], but", id="shape"),
        pytest.param(NORM, ["BF16"], (64, 1), rf"'{NORM}' has the shape \[64\], but", id="rank"),
    ],
)
def test_a_required_tensor_that_is_not_so_is_refused(model, name, dtypes, shape, sentence):
    with pytest.raises(CheckpointError, match=sentence) as refused:
        Checkpoint.open(model).require(name, dtypes, shape)
    assert str(model) in str(refused.value)


def test_an_unknown_model_type_is_told_before_anything_else_is_missed(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ConfigError, match=r"model_type 'gpt2', but ossc knows only .*gpt_oss"):
        SourceModel.open(tmp_path)


def test_a_file_that_is_cut_after_opening_is_an_error_and_no_crash(model):
    checkpoint = Checkpoint.open(model)
    os.truncate(model / "model.safetensors", 5000)
    with pytest.raises(CheckpointError, match="has changed since it was opened"):
        checkpoint.tensor("lm_head.weight")


def test_opening_65_gigabytes_reads_headers_only(tmp_path):
    path = make_checkpoint(tmp_path, GPT_OSS_120B, sparse=True, max_shard_bytes=4_800_000_000)
    begin = resource.getrusage(resource.RUSAGE_SELF)
    checkpoint = Checkpoint.open(path)
    end = resource.getrusage(resource.RUSAGE_SELF)
    assert len(checkpoint.tensors) == 687
    assert sum(entry.length_bytes for entry in checkpoint.tensors.values()) == 65_248_815_744
    assert end.ru_utime - begin.ru_utime < 2
