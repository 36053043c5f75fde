"""Checkpoints as they lie on disk: the bundle is the same wherever and however they are stored."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from compiled import Build, Compiled
from ossc.compiler.backends.cpu.backend import BACKEND, CpuBackend
from ossc.compiler.cli import main
from ossc.compiler.estimate import estimate
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.order import Order
from ossc.compiler.pipeline import compile_model, quantized_model
from ossc.compiler.quantization.plan import load_plan
from ossc.compiler.recipe import Recipe
from ossc.compiler.verify import verify_against
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import Manifest
from synthetic import make_checkpoint
from synthetic.hub_cache import write_snapshot
from synthetic.odd_bytes import move_to_odd_bytes

SHARD_BYTES = 150_000

STORED = [
    pytest.param("mxfp4", "none", None, id="mxfp4-none-one-file"),
    pytest.param("mxfp4", "default", SHARD_BYTES, id="mxfp4-default-shards"),
    pytest.param("mxfp4", "small", None, id="mxfp4-small-one-file"),
    pytest.param("bf16", "none", SHARD_BYTES, id="bf16-none-shards"),
    pytest.param("bf16", "default", None, id="bf16-default-one-file"),
    pytest.param("bf16", "small", SHARD_BYTES, id="bf16-small-shards"),
]
"""Kind of experts, preset, and how the checkpoint is cut."""


def packed_weights(model: Path, quant: str) -> dict[str, str]:
    """Pack all weights as a compilation does, without its kernels; returns their hashes."""
    source = SourceModel.open(model)
    recipe = Recipe(model=model, quant=quant, context=300)
    options = Order.of(recipe).options(source.config)
    weights = BACKEND.lower(quantized_model(source, load_plan(quant)), options).weights
    return {
        name: hashlib.sha256(b"".join(piece.tobytes() for piece in weight.pieces())).hexdigest()
        for name, weight in weights.items()
    }


def stored(real: Compiled, folder: Path, max_shard_bytes: int | None = None) -> Path:
    """Write the checkpoint of a bundle once more."""
    return make_checkpoint(
        folder,
        real.build.shape,
        experts=real.build.experts,
        generation_config=False,
        max_shard_bytes=max_shard_bytes,
    )


def require_same_bundle(real: Compiled, model: Path, out: Path, backend: CpuBackend) -> None:
    """Compile a model, compare every file with those of a bundle, and check its numbers."""
    compile_model(replace(real.recipe(out=out), model=model), backend=backend)
    assert Manifest.read(out) == Manifest.read(real.bundle)
    assert verify_against(Bundle.open(out), model).holds


@pytest.mark.parametrize(("experts", "quant", "max_shard_bytes"), STORED)
def test_the_weights_of_a_snapshot_and_those_at_odd_bytes_are_those_of_plain_files(
    tmp_path, experts, quant, max_shard_bytes
):
    model = make_checkpoint(tmp_path / "m", experts=experts, max_shard_bytes=max_shard_bytes)
    expected = packed_weights(model, quant)
    assert packed_weights(write_snapshot(model, tmp_path / "hub"), quant) == expected
    move_to_odd_bytes(model)
    tensors = SourceModel.open(model).checkpoint.tensors.values()
    assert any(entry.dtype == "BF16" and entry.offset_bytes % 2 for entry in tensors)
    assert packed_weights(model, quant) == expected


def test_a_snapshot_is_compiled_and_verified(compiled, backend, tmp_path):
    real = compiled(Build(quant="default"))
    snapshot = write_snapshot(stored(real, tmp_path / "model", SHARD_BYTES), tmp_path / "hub")
    require_same_bundle(real, snapshot, tmp_path / "bundle", backend)


def test_an_id_of_the_hub_is_compiled_from_the_cache_and_names_the_bundle(
    compiled, backend, tmp_path, monkeypatch
):
    real = compiled(Build())
    write_snapshot(stored(real, tmp_path / "model"), tmp_path / "hub")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    recipe = replace(real.recipe(), model="org/tiny@main")
    assert estimate(recipe).memory == Manifest.read(real.bundle).memory
    place = compile_model(recipe, backend=backend)
    assert place.name.startswith("tiny-cpu-")
    assert Manifest.read(place) == Manifest.read(real.bundle)
    run = CliRunner().invoke(main, ["verify", str(place), "--against", "org/tiny"])
    assert "It holds." in run.stdout


def test_tensors_at_odd_bytes_with_a_second_hard_link_are_compiled_and_verified(
    compiled, backend, tmp_path
):
    """The link is as after ``ossc export``."""
    real = compiled(Build(experts="bf16", quant="default"))
    model = move_to_odd_bytes(stored(real, tmp_path / "model"))
    os.link(model / "model.safetensors", tmp_path / "link")
    require_same_bundle(real, model, tmp_path / "bundle", backend)
