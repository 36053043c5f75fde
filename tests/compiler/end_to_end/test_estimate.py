"""The estimate of a compilation, against the real one."""

import json
import subprocess

import pytest

from compiled import Build
from ossc.compiler.bundle import CODE_BYTES
from ossc.compiler.estimate import RUNTIME_BYTES, estimate
from ossc.compiler.recipe import Recipe
from ossc.runtimes.kv_type import KV_TYPES
from ossc.runtimes.manifest import Manifest
from ossc.targets import resolve_target
from synthetic import SyntheticShape, make_checkpoint


@pytest.mark.parametrize("quant", ["none", "default"])
def test_the_sizes_are_those_of_the_bundle(compiled, quant):
    build = Build(quant=quant, kv_types=KV_TYPES)
    real = compiled(build)
    ours = estimate(real.recipe())
    manifest = Manifest.read(real.bundle)
    assert ours.target == manifest.target.name == resolve_target("cpu").name
    assert ours.memory == manifest.memory
    disk_bytes = sum(file.stat().st_size for file in real.bundle.iterdir())
    assert disk_bytes <= ours.disk_bytes <= disk_bytes + CODE_BYTES
    weights = real.model / "model.safetensors"
    header_bytes = 8 + int.from_bytes(weights.read_bytes()[:8], "little")
    assert ours.checkpoint_bytes == weights.stat().st_size - header_bytes


def test_a_run_takes_no_more_memory_than_estimated(compiled):
    build = Build(quant="default")
    real = compiled(build)
    ours = estimate(real.recipe())
    ids = " ".join(map(str, real.token_ids(build.context - 4)))
    done = subprocess.run(
        [real.bundle / "ossc-run", real.bundle, "--token-ids", ids, "-n", "4", "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    taken = json.loads(done.stdout)["peak_anonymous_bytes"]
    assert taken <= ours.run_anonymous_bytes <= taken + RUNTIME_BYTES


@pytest.mark.parametrize("quant", ["none", "default", "small", "int8-g32", "int4-g32", "bf16"])
def test_the_speed_of_every_preset_is_predicted(tmp_path, quant):
    model = make_checkpoint(tmp_path / "model", SyntheticShape(layer_types=("full_attention",) * 2))
    ours = estimate(Recipe(model=model, target="cpu:x86-64-v3", quant=quant, context=300))
    assert ours.speed is not None
    assert ours.speed.last.decode_ms > ours.speed.prompt.decode_ms > 0
    assert "predicted for 2 cores of an AMD EPYC" in str(ours)


def test_kernels_that_were_never_measured_have_no_speed(tmp_path):
    model = make_checkpoint(tmp_path / "model", floats=(("*router*", "F32"),))
    ours = estimate(Recipe(model=model, target="cpu:x86-64-v3", context=300))
    assert ours.speed is None
    assert "speed        not known: this target, or some kernel, was never measured" in str(ours)


def test_a_target_of_which_no_machine_was_measured_has_no_speed(tmp_path):
    model = make_checkpoint(tmp_path / "model", SyntheticShape(layer_types=("full_attention",) * 2))
    ours = estimate(Recipe(model=model, target="cpu:aarch64", context=300))
    assert ours.speed is None
    assert "speed        not known" in str(ours)
