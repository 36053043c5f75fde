"""``ossc compile``: what it refuses before any work; tests/compiler/end_to_end compiles."""

import pytest

from ossc.targets import resolve_target
from synthetic import make_checkpoint
from synthetic.hub_cache import write_snapshot
from synthetic.tiny_bundle import write_bundle


@pytest.fixture
def model(tmp_path, monkeypatch):
    """A checkpoint, and an empty current folder."""
    (tmp_path / "current").mkdir()
    monkeypatch.chdir(tmp_path / "current")
    return make_checkpoint(tmp_path / "model")


@pytest.mark.parametrize(
    ("options", "exit_code", "sentence"),
    [
        pytest.param(
            ["--target", "gpu"], 2, "no target 'gpu'; did you mean 'webgpu' or 'cpu'?", id="target"
        ),
        pytest.param(["--quant", "mxfp"], 2, "preset 'mxfp'; did you mean 'mxfp4'?", id="preset"),
        pytest.param(["--quant", "no.toml"], 1, "Cannot read the plan no.toml", id="plan"),
        pytest.param(["--context", "0"], 2, "The context is 0 tokens", id="no-context"),
        pytest.param(["--context", "131073"], 2, "this model takes 1 to 131072", id="long-context"),
        pytest.param(["--out", "."], 1, "the current folder, which cannot be replaced", id="here"),
        pytest.param(["--out", "../model"], 1, "exists and is not a bundle", id="model"),
        pytest.param(["--out", "../model", "--force"], 1, "is not a bundle", id="model-forced"),
        pytest.param(
            ["--target", "cpu:aarch64", "--target", "cpu:aarch64", "--out", "x"],
            2,
            "cpu:aarch64 is given twice as --target; give it once.",
            id="twice",
        ),
        pytest.param(
            ["--target", "cpu:aarch64", "--target", "cpu:armv6", "--out", "x"],
            2,
            "There is no target 'cpu:armv6'",
            id="second-target",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_in_one_sentence_and_writes_nothing(
    refusal, model, tmp_path, options, exit_code, sentence
):
    before = sorted(tmp_path.rglob("*"))
    assert sentence in refusal("compile", model, *options, exit_code=exit_code)
    assert sorted(tmp_path.rglob("*")) == before


def test_nothing_is_compiled_into_the_cache_of_the_hub(refusal, model, tmp_path, monkeypatch):
    snapshot = write_snapshot(model, tmp_path / "hub")
    out = ["--out", snapshot / "bundle"]
    assert "choose an --out elsewhere" in refusal("compile", model, *out, exit_code=2)
    monkeypatch.chdir(snapshot)
    assert "choose an --out elsewhere" in refusal("compile", snapshot, exit_code=2)
    assert not (snapshot / "bundle").exists()


def test_a_dry_run_takes_an_id_of_the_hub(ossc, model, tmp_path, monkeypatch):
    write_snapshot(model, tmp_path / "hub")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    target = ["--target", "cpu:aarch64", "--dry-run"]
    assert ossc("compile", "org/tiny", *target).stdout == ossc("compile", model, *target).stdout


def test_a_place_that_is_taken_is_refused_before_the_first_target_is_compiled(refusal, model):
    taken = write_bundle(model.parent / "out" / "cpu-aarch64")
    options = ["--target", "cpu:x86-64-v3", "--target", "cpu:aarch64", "--out", taken.parent]
    sentence = refusal("compile", model, *options)
    assert sentence.endswith(
        "cpu-aarch64 exists already; replace it with --force, or choose --out."
    )
    assert list(taken.parent.iterdir()) == [taken]


@pytest.mark.parametrize("missing", ["the folder", "config.json", "model.safetensors"])
def test_a_checkpoint_that_is_not_there_is_refused(refusal, model, missing):
    if missing == "the folder":
        model = model.with_name("nothing")
    else:
        (model / missing).unlink()
    assert str(model) in refusal("compile", model)


def test_a_dry_run_says_what_each_target_takes_and_writes_nothing(ossc, model, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    targets = ["--target", "cpu", "--target", "cpu:aarch64"]
    result = ossc("compile", model, *targets, "--dry-run", "--out", "x")
    assert (result.exit_code, result.stderr) == (0, "")
    here, there = result.stdout.split("\n\n")
    assert here.splitlines()[0].split() == ["target", resolve_target("cpu").name]
    assert there.splitlines()[0].split() == ["target", "cpu:aarch64"]
    rows = [line.split("  ")[0] for line in here.splitlines()]
    assert rows[:6] == ["target", "read", "disk", "compile RAM", "run RAM", "mapped"]
    assert rows[6:] in ([], ["speed"])  # of targets of which a machine was measured
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("target", "row"), [("webgpu", "download"), ("opencl", "device RAM"), ("cpu", "mapped")]
)
def test_a_dry_run_says_where_weights_lie(ossc, model, target, row):
    lines = ossc("compile", model, "--target", target, "--dry-run").stdout.splitlines()
    assert next(line for line in lines if " of weights, " in line).startswith(f"{row}  ")


def test_a_note_is_printed_once_and_not_on_stdout(ossc, model):
    (model / "generation_config.json").unlink()
    targets = ["--target", "cpu", "--target", "cpu:aarch64"]
    result = ossc("compile", model, *targets, "--dry-run")
    assert result.exit_code == 0
    (note,) = result.stderr.splitlines()
    assert note.startswith(f"Note: {model} names no token that ends an answer")
    assert "Note" not in result.stdout
