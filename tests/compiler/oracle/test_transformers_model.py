"""transformers as the other side: what it needs, and that it is left alone."""

import json
import shutil

import numpy as np
import pytest
import transformers

from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle import transformers_model as oracle_transformers
from ossc.compiler.oracle.transformers_model import needed_bytes, require_oracle, run_transformers
from ossc.targets.errors import NotComparableError
from synthetic import GPT_OSS_20B, SyntheticShape, make_checkpoint
from transformers_model import load_float32, reference_logits

IDS = list(range(12))


def link_like_the_cache(source, hub):
    """Move a checkpoint's files to blobs, and link them by name."""
    (hub / "blobs").mkdir(parents=True)
    snapshot = hub / "snapshots" / "s"
    snapshot.mkdir(parents=True)
    for number, file in enumerate(sorted(source.iterdir())):
        shutil.move(file, hub / "blobs" / f"b{number}")
        (snapshot / file.name).symlink_to(f"../../blobs/b{number}")
    return snapshot


@pytest.mark.parametrize("experts", ["mxfp4", "bf16"])
def test_it_computes_what_the_checkpoint_holds(tmp_path, experts):
    source = SourceModel.open(make_checkpoint(tmp_path, experts=experts))
    outputs = run_transformers(source.checkpoint, IDS, IDS)
    expected = reference_logits(load_float32(source), IDS)
    np.testing.assert_array_equal(outputs.logits, expected)
    assert outputs.router_indices.shape == (2, len(IDS), 2)
    assert outputs.name == f"GptOssForCausalLM of transformers {transformers.__version__}"
    assert outputs.config["rope_parameters"]["factor"] == 32.0


def test_the_links_of_the_hugging_face_cache_are_followed(tmp_path):
    path = make_checkpoint(tmp_path / "plain", max_shard_bytes=100_000)
    expected = run_transformers(Checkpoint.open(path), IDS, IDS).logits
    snapshot = link_like_the_cache(path, tmp_path / "hub")
    actual = run_transformers(Checkpoint.open(snapshot), IDS, IDS).logits
    np.testing.assert_array_equal(actual, expected)


def test_it_prints_nothing_and_leaves_the_logging_as_it_was(tmp_path, capfd):
    log = transformers.utils.logging
    before = log.get_verbosity(), log.is_progress_bar_enabled()
    run_transformers(Checkpoint.open(make_checkpoint(tmp_path)), IDS, IDS)
    assert capfd.readouterr() == ("", "")
    assert (log.get_verbosity(), log.is_progress_bar_enabled()) == before


def test_code_of_a_checkpoint_is_not_run(tmp_path):
    path = make_checkpoint(tmp_path / "model")
    marker = tmp_path / "ran"
    (path / "custom.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    config = json.loads((path / "config.json").read_text())
    config["auto_map"] = {
        "AutoConfig": "custom.Config",
        "AutoModelForCausalLM": "custom.Model",
    }
    (path / "config.json").write_text(json.dumps(config))
    assert run_transformers(Checkpoint.open(path), IDS, IDS).name.startswith("GptOssForCausalLM ")
    assert not marker.exists()


@pytest.mark.parametrize("name", ["torch", "transformers"])
def test_without_a_package_one_sentence_says_what_to_install(tmp_path, monkeypatch, name):
    source = SourceModel.open(make_checkpoint(tmp_path))
    find_spec = oracle_transformers.find_spec
    monkeypatch.setattr(
        oracle_transformers, "find_spec", lambda each: None if each == name else find_spec(each)
    )
    with pytest.raises(NotComparableError, match=rf'{name}, .* pip install "ossc\[oracle\]"'):
        require_oracle(source.checkpoint)


def test_a_model_that_does_not_fit_is_refused_from_its_headers(tmp_path, monkeypatch):
    path = make_checkpoint(tmp_path, GPT_OSS_20B, sparse=True, max_shard_bytes=4_800_000_000)
    source = SourceModel.open(path)
    assert (
        84e9 < needed_bytes(source.checkpoint) < 100e9
    )  # 20.9e9 parameters, and room to load them
    monkeypatch.setattr(oracle_transformers, "available_bytes", lambda: 64_000_000_000)
    with pytest.raises(NotComparableError, match=r"takes 9\d\.\d\d GB .* 80% of the 64\.00 GB"):
        require_oracle(source.checkpoint)
    monkeypatch.setattr(oracle_transformers, "available_bytes", lambda: None)
    require_oracle(source.checkpoint)


def test_what_transformers_cannot_load_is_no_verdict(tmp_path):
    source = SourceModel.open(make_checkpoint(tmp_path))
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_hidden_layers": "two"}))
    with pytest.raises(NotComparableError, match=r"cannot load .*; use --oracle onnxruntime"):
        run_transformers(source.checkpoint, IDS, IDS)


def test_a_model_of_which_transformers_finds_only_a_part_is_no_verdict(tmp_path):
    source = SourceModel.open(make_checkpoint(tmp_path, SyntheticShape(num_hidden_layers=1)))
    config = json.loads((tmp_path / "config.json").read_text())
    layers = {"num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"]}
    (tmp_path / "config.json").write_text(json.dumps(config | layers))
    with pytest.raises(NotComparableError, match=r"missing tensor model\.layers\.1\."):
        run_transformers(source.checkpoint, IDS, IDS)
