"""Bundles for OpenCL on a CPU's driver, against the CPU's bundles of the same checkpoints."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compiled import Build
from family_models import CASES
from opencl_icd import installed_driver
from ossc.compiler.pipeline import compile_model
from ossc.compiler.recipe import Recipe
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.manifest import Manifest
from ossc.runtimes.session import Session
from tolerances import GPU_COSINE, GPU_LOGITS

CONTEXT, CHUNK = 64, 16
"""So that a prompt is two chunks and a part, and more than any case's window."""

TOKENS, PROMPT = 50, 41

FAMILIES = ("llama-biases", "mixtral-33", "llama-odd", "mistral-window", "ministral3")
"""One KV head; 33 experts; sizes that nothing divides; a window shorter than the prompt; queries
scaled by their position. What the other cases add is the same operations, which are in
tests/operations, in graphs that test_families.py runs on the CPU."""

KV_TYPES: tuple[KvType, ...] = ("f32", "int8")


@pytest.fixture(autouse=True)
def pocl(monkeypatch):
    """PoCL need not optimize what runs once: that is a quarter of the time."""
    monkeypatch.setenv("POCL_EXTRA_BUILD_FLAGS", "-cl-opt-disable")
    monkeypatch.setenv("OSSC_CACHE_DIR", "none")


def logits(bundle: Path, token_ids: list[int], kv: str = "f32") -> np.ndarray:
    """Compute a prompt, and then the other tokens one by one."""
    on_cpu = Manifest.read(bundle).target.kind == "cpu"
    device = None if on_cpu else installed_driver("pocl").device
    with Session(bundle, threads=1, kv=kv, device=device) as session:
        prompt = session.prefill(token_ids[:PROMPT], all_logits=True)
        return np.concatenate([prompt, *(session.decode(t)[None] for t in token_ids[PROMPT:])])


def cosine(one: np.ndarray, other: np.ndarray) -> float:
    """Return the smallest of a position's."""
    sizes = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return float(((one * other).sum(axis=1) / sizes).min())


def both(folder: Path, name: str, quant: str, backend: object) -> list[np.ndarray]:
    """Return a family's logits on the CPU, and those on the device."""
    model = CASES[name].make(folder / "model")
    results = []
    for target in ("cpu", "opencl"):
        recipe = Recipe(
            model=model,
            target=target,
            quant=quant,
            context=CONTEXT,
            prefill_chunk=CHUNK,
            instruction_sets=(),
            out=folder / target,
        )
        bundle = compile_model(recipe, backend=backend if target == "cpu" else None)
        vocab_size = int(str(Manifest.read(bundle).model["vocab_size"]))
        ids = np.random.default_rng(0).integers(0, vocab_size, TOKENS).tolist()
        results.append(logits(bundle, ids))
    return results


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FAMILIES)
def test_unquantized_it_computes_what_a_cpu_computes(tmp_path, backend, name):
    cpu, device = both(tmp_path, name, "none", backend)
    assert np.abs(device - cpu).max() <= GPU_LOGITS * np.abs(cpu).max()


@pytest.mark.parametrize("kv", KV_TYPES)
def test_quantized_it_says_what_a_cpu_says(compiled, kv):
    build = Build(quant="default", context=CONTEXT, prefill_chunk=CHUNK, kv_types=KV_TYPES)
    on_cpu, on_device = (compiled(each) for each in (build, replace(build, target="opencl")))
    ids = on_cpu.token_ids(TOKENS)
    cpu, device = (logits(each.bundle, ids, kv) for each in (on_cpu, on_device))
    assert cosine(cpu, device) >= GPU_COSINE[kv]


def test_a_bundle_has_the_same_bytes_each_time(compiled, tmp_path):
    build = Build(quant="default", context=CONTEXT, prefill_chunk=CHUNK, target="opencl")
    bundle = compiled(build)
    again = compile_model(bundle.recipe(out=tmp_path / "again"))
    assert Manifest.read(again) == Manifest.read(bundle.bundle)


def test_the_manifest_says_that_activations_are_floats(compiled):
    build = Build(quant="default", context=CONTEXT, prefill_chunk=CHUNK, target="opencl")
    manifest = Manifest.read(compiled(build).bundle)
    assert manifest.quantization.activations == "f32"
    assert set(manifest.files_of("code")) == {
        "kernels.cl", "kernels.f32.cl", "kernels.f16.cl", "kernels.int8.cl"
    }  # fmt: skip
