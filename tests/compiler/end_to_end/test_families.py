"""Models of every family, compiled and run, against transformers and against their own graphs."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from family_models import CASES
from ossc.compiler.backends.cpu.backend import CpuBackend
from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.cli import main
from ossc.compiler.oracle.transformers_model import run_transformers
from ossc.compiler.pipeline import compile_model
from ossc.compiler.recipe import Recipe
from ossc.compiler.verify import verify_against
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import Manifest
from ossc.runtimes.session import Session
from tolerances import BUNDLE_LOGITS

CONTEXT, CHUNK = 64, 16
"""So that a prompt is two chunks and a part, and more than any case's window."""

TOKENS, PROMPT = 56, 41


def compiled_case(folder: Path, backend: CpuBackend, name: str, quant: str) -> Path:
    """Make a case's checkpoint in a folder, and compile it."""
    model = folder / "model"
    if not model.exists():
        CASES[name].make(model)
    recipe = Recipe(
        model=model,
        quant=quant,
        context=CONTEXT,
        prefill_chunk=CHUNK,
        instruction_sets=(),
        out=folder / quant,
    )
    return compile_model(recipe, backend=backend)


def bundle_logits(bundle: Path, token_ids: list[int]) -> np.ndarray:
    """Compute a prompt, and then the other tokens one by one."""
    with Session(bundle, threads=2) as session:
        prompt = session.prefill(token_ids[:PROMPT], all_logits=True)
        return np.concatenate([prompt, *(session.decode(t)[None] for t in token_ids[PROMPT:])])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CASES)
def test_unquantized_it_computes_what_transformers_computes(tmp_path, backend, name):
    bundle = compiled_case(tmp_path, backend, name, "none")
    vocab_size = int(str(Manifest.read(bundle).model["vocab_size"]))
    ids = np.random.default_rng(0).integers(0, vocab_size, TOKENS).tolist()
    expected = run_transformers(Checkpoint.open(tmp_path / "model"), ids, range(TOKENS)).logits
    difference = np.abs(bundle_logits(bundle, ids) - expected).max()
    assert difference <= BUNDLE_LOGITS * np.abs(expected).max()


@pytest.mark.parametrize("name", ["llama-3", "mistral-window", "ministral3", "mixtral-33"])
def test_quantized_it_computes_what_its_graph_computes(tmp_path, backend, name):
    bundle = compiled_case(tmp_path, backend, name, "default")
    assert verify_against(Bundle.open(bundle), tmp_path / "model").holds


def test_a_dense_model_is_shown_without_experts(tmp_path, backend):
    bundle = compiled_case(tmp_path, backend, "llama-tied", "default")
    shown = CliRunner().invoke(main, ["inspect", str(bundle)])
    assert shown.exit_code == 0, shown.output
    assert "llama" in shown.output
    assert "expert" not in shown.output
