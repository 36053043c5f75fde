"""``ossc inspect``."""

import json
from dataclasses import asdict, replace

import pytest

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import Manifest
from synthetic.tiny_bundle import write_bundle


def test_text_shows_model_target_memory_files_and_plan(ossc, tiny_bundle):
    result = ossc("inspect", tiny_bundle)
    assert (result.exit_code, result.stderr) == (0, "")
    opened = Bundle.open(tiny_bundle)
    shown = result.stdout
    assert opened.manifest.target.name in shown
    for name, entry in opened.manifest.files.items():
        (line,) = [line for line in shown.splitlines() if line.strip().startswith(f"{name} ")]
        assert f"sha256 {entry.sha256[:16]}" in line
    assert "head, up to 16 rows" in shown


def test_the_tensors_of_each_format_are_counted(ossc, tmp_path):
    bundle = write_bundle(tmp_path / "bundle")
    manifest = Manifest.read(bundle)
    tensors = {"a.weight": "f16", "b.weight": "f32", "c.weight": "f16", "norm": "float32"}
    quantization = replace(manifest.quantization, tensors=tensors)
    replace(manifest, quantization=quantization).write(bundle)
    lines = ossc("inspect", bundle).stdout.splitlines()
    assert "tensors       2 f16, 1 f32, 1 float32" in lines


def test_steps_are_listed_when_asked(ossc, tiny_bundle):
    plan = Bundle.open(tiny_bundle).plan
    few = ossc("inspect", tiny_bundle).stdout
    many = ossc("inspect", tiny_bundle, "--steps").stdout
    steps = sum(len(segment.steps) for segment in plan.segments)
    assert len(many.splitlines()) == len(few.splitlines()) + steps
    assert "test_embedding" in many


@pytest.mark.parametrize("options", [(), ("--steps",)])
def test_json_is_the_manifest_and_the_plans_outline(ossc, tiny_bundle, options):
    fields = json.loads(ossc("inspect", tiny_bundle, "--format", "json", *options).stdout)
    opened = Bundle.open(tiny_bundle)
    assert fields["manifest"] == json.loads(json.dumps(asdict(opened.manifest)))
    assert [segment["name"] for segment in fields["plan"]] == ["decode", "prefill", "head", "head"]
    assert fields["plan"][0]["steps"] == len(opened.plan.segments[0].steps)
    assert ("step_list" in fields["plan"][0]) == bool(options)


def test_the_models_size_is_shown_where_the_manifest_has_it(ossc, tiny_bundle):
    counts = {"num_hidden_layers": 2, "num_local_experts": 4, "num_experts_per_tok": 1}
    write_bundle(tiny_bundle, model={"model_type": "gpt_oss"} | counts)
    first, *_ = ossc("inspect", tiny_bundle).stdout.splitlines()
    assert first.split(maxsplit=1)[1] == "gpt_oss, 2 layers, 4 experts, 1 of them a token"


def test_what_is_no_bundle_is_refused(refusal, tmp_path):
    assert refusal("inspect", tmp_path / "x").endswith("give the directory of a bundle.")
    assert "give the directory of a complete bundle" in refusal("inspect", tmp_path)


def test_a_damaged_file_is_refused(refusal, tiny_bundle):
    data = bytearray((tiny_bundle / "plan.bin").read_bytes())
    data[-1] ^= 1
    (tiny_bundle / "plan.bin").write_bytes(data)
    assert "plan.bin does not have the hash in the manifest" in refusal("inspect", tiny_bundle)
