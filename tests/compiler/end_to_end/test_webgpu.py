"""Models compiled for browsers, and run in Chromium, against transformers."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import chromium
from family_models import CASES
from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.oracle.transformers_model import run_transformers
from ossc.compiler.pipeline import compile_model
from ossc.compiler.recipe import Recipe
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.manifest import Manifest, check_files
from ossc.runtimes.session import Session
from ossc.runtimes.web_page import web_page_files
from ossc.targets.errors import SessionError
from synthetic import SyntheticShape, make_checkpoint
from tolerances import BUNDLE_LOGITS, KV_LOGITS
from web_server import Site, call, web_site

pytestmark = [
    pytest.mark.emulated,
    pytest.mark.skipif(chromium.EXECUTABLE is None, reason="chromium is not installed"),
    pytest.mark.filterwarnings("ignore"),
]

CONTEXT, CHUNK = 64, 16
TOKENS, PROMPT = 56, 41
"""A prompt is two chunks, and a part that is longer than a token, and more than any window."""

SAMPLE = Path(__file__).parents[2] / "sample_model" / "checkpoint"

SHAPE = SyntheticShape(num_hidden_layers=3, num_key_value_heads=1, num_local_experts=33)
"""Of gpt-oss: an odd number of layers and of experts, windows of 8, and one key-value head."""

RUN = """
    const model = await openModel(address, { kv });
    const session = await model.createSession();
    const logits = [...(await session.run(ids.slice(0, prompt), { logits: "all" }))];
    for (const id of ids.slice(prompt)) logits.push(...(await session.run([id])));
    model.close();
    return logits;
"""


@dataclass(frozen=True, kw_only=True)
class WebModel:
    """A checkpoint, and its bundle for browsers."""

    name: str
    model: Path
    bundle: Path

    @property
    def token_ids(self) -> list[int]:
        """The same random ones each time."""
        vocab_size = int(str(Manifest.read(self.bundle).model["vocab_size"]))
        return np.random.default_rng(0).integers(0, vocab_size, TOKENS).tolist()

    def logits(self, site: Site, kv: KvType | None = None) -> np.ndarray:
        """``[TOKENS, vocab_size]``, by the bundle's own page, of a prompt and of single tokens."""
        name, ids = self.name, self.token_ids
        site.folders[name] = self.bundle
        page = site.open(f"{name}/index.html")
        found = call(page, RUN, folder=name, address=f"/{name}/", ids=ids, prompt=PROMPT, kv=kv)
        assert not isinstance(found, str), found
        assert page.complaints == []
        return np.array(found).reshape(len(ids), -1)


MODELS = {
    "sample": lambda _: SAMPLE,
    "gpt-oss-33": partial(make_checkpoint, shape=SHAPE),
    "mixtral-33": CASES["mixtral-33"].make,
}


def compiled(folder: Path, model: Path) -> Path:
    recipe = Recipe(
        model=model, target="webgpu", quant="none", context=CONTEXT, prefill_chunk=CHUNK, out=folder
    )
    return compile_model(recipe)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with web_site(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture(scope="module")
def web_model(tmp_path_factory):
    """``web_model(name)``, compiled once."""
    models: dict[str, WebModel] = {}

    def made(name: str) -> WebModel:
        if name not in models:
            folder = tmp_path_factory.mktemp(name)
            model = folder / "model"
            model = MODELS[name](model) or model
            models[name] = WebModel(
                name=name, model=model, bundle=compiled(folder / "bundle", model)
            )
        return models[name]

    return made


@pytest.mark.parametrize("name", MODELS)
def test_a_browser_computes_what_transformers_computes(site, web_model, exact_logits, name):
    made = web_model(name)
    logits = exact_logits if name == "mixtral-33" else made.logits(site)
    checkpoint = Checkpoint.open(made.model)
    expected = run_transformers(checkpoint, made.token_ids, range(TOKENS)).logits
    difference = np.abs(logits - expected).max(axis=1)
    assert (difference <= BUNDLE_LOGITS * np.abs(expected).max(axis=1)).all()


@pytest.fixture(scope="module")
def exact_logits(site, web_model):
    return web_model("mixtral-33").logits(site)


def test_a_shorter_kv_cache_changes_little(site, web_model, exact_logits):
    """The one in int8; tests/operations/test_webgpu.py has all types."""
    short = web_model("mixtral-33").logits(site, "int8")
    difference = np.abs(short - exact_logits).max(axis=1) / np.abs(exact_logits).max(axis=1)
    assert 0 < np.median(difference) <= KV_LOGITS["int8"]


def test_a_bundle_is_the_same_each_time_and_says_that_a_browser_runs_it(web_model, tmp_path):
    made = web_model("mixtral-33")
    again = compiled(tmp_path / "again", made.model)
    manifest = check_files(again, hash_weights=True, only_listed=True)
    assert (again / "manifest.json").read_bytes() == (made.bundle / "manifest.json").read_bytes()
    assert set(manifest.files_of("program")) == set(web_page_files())
    assert all(name.endswith(".wgsl.json") for name in manifest.files_of("code"))
    assert Bundle.open(again).plan.devices[0].kind == manifest.target.kind == "webgpu"
    assert manifest.quantization.activations == "f32"
    with pytest.raises(SessionError, match="which runs in a browser: serve its folder"):
        Session(again)
