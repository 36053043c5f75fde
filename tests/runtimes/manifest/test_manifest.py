"""The manifest, its digest, and the check of a bundle's files against it."""

import hashlib
import json
from dataclasses import replace

import pytest

from ossc.runtimes.manifest import (
    FileEntry,
    HostEntry,
    Manifest,
    TargetEntry,
    check_files,
    hash_file,
)
from ossc.targets.errors import BundleError
from synthetic.tiny_plan import make_manifest, role_of

FILES = {"plan.bin": b"plan", "weights.bin": b"weights" * 100, "tokenizer.json": b"{}"}
ENTRIES = {name: FileEntry.of(role_of(name), data) for name, data in FILES.items()}


@pytest.fixture
def bundle(tmp_path):
    for name, data in FILES.items():
        (tmp_path / name).write_bytes(data)
    make_manifest(ENTRIES).write(tmp_path)
    return tmp_path


def check(bundle):
    return check_files(bundle, hash_weights=True, only_listed=True)


def test_a_manifest_survives_its_text(bundle):
    manifest = Manifest.read(bundle)
    assert manifest == make_manifest(ENTRIES)
    assert (bundle / "manifest.json").read_text() == manifest.to_json()


def test_the_text_is_sorted_ascii_and_ends_with_a_newline():
    text = make_manifest(ENTRIES).to_json()
    assert text.isascii()
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=1) + "\n"


def test_the_digest_is_64_hex_digits_and_a_newline(bundle):
    digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    assert (bundle / "manifest.sha256").read_bytes() == digest.encode() + b"\n"


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sha256", *FILES])
def test_every_flipped_byte_is_refused(bundle, name):
    path = bundle / name
    data = path.read_bytes()
    for position in range(len(data)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 0x20]) + data[position + 1 :])
        with pytest.raises(BundleError):
            check(bundle)


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sha256", *FILES])
def test_a_missing_file_is_named(bundle, name):
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=name):
        check(bundle)


def test_a_directory_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BundleError, match="nowhere is not a directory"):
        Manifest.read(tmp_path / "nowhere")


def test_a_file_of_another_size_is_named_with_both_sizes(bundle):
    (bundle / "weights.bin").write_bytes(b"short")
    with pytest.raises(BundleError, match=r"weights.bin has 5 bytes and the manifest says 700"):
        check_files(bundle, hash_weights=False, only_listed=False)


def test_weights_are_hashed_only_when_asked(bundle):
    (bundle / "weights.bin").write_bytes(b"Weights" * 100)
    check_files(bundle, hash_weights=False, only_listed=True)
    with pytest.raises(BundleError, match=r"weights\.bin does not have the hash"):
        check_files(bundle, hash_weights=True, only_listed=True)


def test_another_file_is_refused_only_when_asked(bundle):
    (bundle / "notes.txt").write_text("mine")
    check_files(bundle, hash_weights=True, only_listed=False)
    with pytest.raises(BundleError, match=r"does not list \(notes\.txt\)"):
        check(bundle)


def test_progress_counts_every_hashed_byte(bundle):
    counts = []
    check_files(bundle, hash_weights=True, only_listed=True, progress=counts.append)
    assert sum(counts) == sum(map(len, FILES.values()))


def test_a_large_file_is_hashed_in_blocks(tmp_path):
    data = bytes(range(256)) * 5000
    (tmp_path / "large").write_bytes(data)
    assert hash_file(tmp_path / "large") == hashlib.sha256(data).hexdigest()


def changed(**changes):
    fields = json.loads(make_manifest(ENTRIES).to_json())
    return json.dumps(fields | changes).encode()


def changed_memory(**changes):
    return changed(memory=json.loads(make_manifest(ENTRIES).to_json())["memory"] | changes)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        pytest.param(b"{", "not valid JSON", id="cut"),
        pytest.param(b"\xff{}", "not valid JSON", id="not-utf-8"),
        pytest.param(b"[" * 100_000, "not valid JSON", id="deep"),
        pytest.param(b'{"a":1,"a":1}', "the key 'a' is there more than once", id="twice"),
        pytest.param(b'{"a":NaN}', "NaN is no JSON number", id="nan"),
        pytest.param(b"[]", "has to hold a JSON object", id="list"),
        pytest.param(b'{"a":"\\ud800"}', "surrogates not allowed", id="half-of-a-pair"),
        pytest.param(b"[" * 10**5, "nested too deeply", id="deep"),
        pytest.param(b"{}", "no field 'format_version'", id="empty"),
        pytest.param(changed(format_version=4), "version 4 and this ossc reads 3", id="newer"),
        pytest.param(changed(colour="red"), "unknown fields colour", id="unknown"),
        pytest.param(changed(context=0), "at least 1", id="no-context"),
        pytest.param(changed(context=True), "not an integer", id="bool"),
        pytest.param(changed(context=2**60), "not an integer", id="huge"),
        pytest.param(changed(ossc_version=1), "not a printable text", id="version"),
        pytest.param(changed(ossc_version="\x1b[2J"), "not a printable text", id="escape"),
        pytest.param(changed(model=[]), "not an object", id="model"),
        pytest.param(changed(stop_token_ids=[-1]), "not a list of integers", id="stop"),
        pytest.param(changed(files={}), "does not list plan.bin as a plan", id="no-files"),
        pytest.param(changed_memory(default_kv="f8"), "type 'f8', which is none", id="kv-type"),
        pytest.param(changed_memory(default_kv="f16"), "does not say", id="default-kv"),
        pytest.param(changed_memory(kv={"f16": {}}), "no field 'state_bytes'", id="kv-memory"),
    ],
)
def test_a_manifest_that_is_not_understood_is_refused(data, fault):
    with pytest.raises(BundleError, match=fault):
        Manifest.from_json(data)


@pytest.mark.parametrize(
    "name", ["../plan.bin", "/etc/passwd", "a/b", ".hidden", "", "manifest.json"]
)
def test_a_file_outside_the_bundle_cannot_be_listed(name):
    manifest = make_manifest(ENTRIES | {name: FileEntry.of("text", b"")})
    with pytest.raises(BundleError, match="which no bundle has"):
        Manifest.from_json(manifest.to_json().encode())


def test_a_digest_in_capitals_is_refused():
    entry = replace(ENTRIES["plan.bin"], sha256="A" * 64)
    with pytest.raises(BundleError, match="64 lowercase hex digits"):
        Manifest.from_json(make_manifest(ENTRIES | {"plan.bin": entry}).to_json().encode())


def test_the_target_survives():
    target = TargetEntry(name="cpu:x", host=HostEntry(arch="x86_64", cpu_features=("avx2", "fma")))
    text = make_manifest(ENTRIES, target=target).to_json()
    assert Manifest.from_json(text.encode()).target == target
