"""The parts of a manifest: files, target, quantization and features, each refused by name."""

import json
from dataclasses import replace

import pytest

from ossc.runtimes.manifest import DriverEntry, ExpertsScheme, FileEntry, Manifest, schemes_of
from ossc.targets.errors import BundleError
from synthetic.tiny_plan import make_manifest
from synthetic.web_plan import TARGET as WEB_TARGET

ENTRIES = {"plan.bin": FileEntry.of("plan", b"p"), "weights.bin": FileEntry.of("weights", b"w")}


def changed(*path, value):
    """The bytes of a manifest with one field, deep in it, replaced or added."""
    fields = json.loads(make_manifest(ENTRIES).to_json())
    inner = fields
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    return json.dumps(fields).encode()


def without(*path):
    fields = json.loads(make_manifest(ENTRIES).to_json())
    inner = fields
    for name in path[:-1]:
        inner = inner[name]
    del inner[path[-1]]
    return json.dumps(fields).encode()


RULE = {"match": "experts", "experts": [0, 2], "scheme": "mxfp4"}

EXPERTS = [{"experts": [0, 2], "scheme": "mxfp4"}, {"experts": [1], "scheme": "int4-g32"}]


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        pytest.param(changed("features", value=["text.bin"]), "needs 'text.bin'", id="feature"),
        pytest.param(changed("features", value="x"), "not a list of texts", id="features-text"),
        pytest.param(without("features"), "no field 'features'", id="no-features"),
        pytest.param(changed("target", "kind", value="abacus"), "of the kind 'abacus'", id="kind"),
        pytest.param(without("target", "kind"), "no field 'kind'", id="no-kind"),
        pytest.param(without("target", "host"), "no field 'host'", id="no-host"),
        pytest.param(without("target", "device"), "no field 'device'", id="no-device"),
        pytest.param(
            changed("target", "device", value={"cores": 4}), "unknown fields cores", id="device"
        ),
        pytest.param(changed("target", "device", value=[]), "not an object", id="device-list"),
        pytest.param(
            changed("target", "arch", value="x86_64"), "unknown fields arch", id="old-target"
        ),
        pytest.param(
            changed("target", "host", "cpu_features", value=["x", 1]),
            "not a list of texts",
            id="cpu-features",
        ),
        pytest.param(changed("target", "host", "os", value="linux"), "unknown fields os", id="os"),
        pytest.param(
            changed("files", "plan.bin", "role", value="music"), "role 'music', which", id="role"
        ),
        pytest.param(
            changed("files", "plan.bin", "role", value="text"), "plan.bin as a plan", id="no-plan"
        ),
        pytest.param(without("files", "plan.bin", "role"), "no field 'role'", id="no-role"),
        pytest.param(
            changed("quantization", "rules", value={"experts": "mxfp4"}),
            "not a list of objects",
            id="rules",
        ),
        pytest.param(
            changed("quantization", "rules", value=[{**RULE, "bits": 4}]),
            "unknown fields bits",
            id="rule-field",
        ),
        pytest.param(
            changed("quantization", "rules", value=[{**RULE, "experts": []}]),
            "rule for experts lacks experts",
            id="rule-without-experts",
        ),
        pytest.param(
            changed("quantization", "rules", value=[{**RULE, "experts": [3, 3]}]),
            "out of order",
            id="rule-twice",
        ),
        pytest.param(
            changed("quantization", "rules", value=[{**RULE, "experts": [-1]}]),
            "not a list of integers",
            id="rule-negative",
        ),
        pytest.param(
            changed("quantization", "tensors", value={"w": 1}), "not a printable text", id="tensor"
        ),
        pytest.param(
            changed("quantization", "tensors", value={"w": []}), "lack experts", id="no-parts"
        ),
        pytest.param(
            changed("quantization", "tensors", value={"w": ["int4-g32"]}),
            "not a list of objects",
            id="part",
        ),
        pytest.param(
            changed("quantization", "tensors", value={"w": [{"experts": [], "scheme": "f32"}]}),
            "lack experts",
            id="no-experts",
        ),
        pytest.param(
            changed("quantization", "tensors", value={"w": [{"experts": [2, 1], "scheme": "x"}]}),
            "out of order",
            id="falling",
        ),
        pytest.param(
            changed("quantization", "tensors", value={"w": [EXPERTS[0], EXPERTS[0]]}),
            "gives expert 0 of w 2 schemes",
            id="twice",
        ),
        pytest.param(
            changed("quantization", "tensors", value={"w": [{**EXPERTS[0], "bits": 4}]}),
            "unknown fields bits",
            id="unknown",
        ),
    ],
)
def test_what_a_reader_does_not_understand_is_refused_by_name(data, fault):
    with pytest.raises(BundleError, match=fault):
        Manifest.from_json(data)


def test_experts_of_one_tensor_may_differ():
    data = changed("quantization", "tensors", value={"w": EXPERTS, "v": "f32"})
    manifest = Manifest.from_json(data)
    parts = manifest.quantization.tensors["w"]
    assert parts[0] == ExpertsScheme(experts=(0, 2), scheme="mxfp4")
    assert schemes_of(parts) == ("mxfp4", "int4-g32")
    assert schemes_of(manifest.quantization.tensors["v"]) == ("f32",)
    assert Manifest.from_json(manifest.to_json().encode()) == manifest


def test_a_rule_is_for_all_or_for_some_experts():
    data = changed("quantization", "rules", value=[RULE, {**RULE, "experts": None}])
    rules = Manifest.from_json(data).quantization.rules
    assert [rule.experts for rule in rules] == [(0, 2), None]


def test_files_are_found_by_their_role():
    manifest = Manifest.from_json(make_manifest(ENTRIES).to_json().encode())
    assert list(manifest.files_of("weights")) == ["weights.bin"]
    assert manifest.files_of("card") == {}


def test_a_bundle_for_browsers_has_no_machine_as_its_host():
    data = make_manifest(ENTRIES, target=WEB_TARGET).to_json().encode()
    assert Manifest.from_json(data).target == WEB_TARGET
    with pytest.raises(BundleError, match="unknown fields cores"):
        Manifest.from_json(data.replace(b'"device": {}', b'"device": {"cores": 4}'))


def test_a_device_behind_a_driver_says_which_glibc_its_program_needs():
    target = make_manifest({}).target
    opencl = replace(target, kind="opencl", device=DriverEntry(host_glibc="2.17"))
    data = make_manifest(ENTRIES, target=opencl).to_json().encode()
    assert Manifest.from_json(data).target == opencl
    with pytest.raises(BundleError, match="host_glibc is 'new', which is no version"):
        Manifest.from_json(data.replace(b'"2.17"', b'"new"'))
