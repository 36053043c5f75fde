"""``ossc verify`` of files; tests/compiler/end_to_end has its numbers."""

import os
import shutil

import pytest

from ossc.runtimes.bundle import Bundle


def test_a_bundle_as_it_was_written_holds(ossc, tiny_bundle):
    result = ossc("verify", tiny_bundle)
    assert result.exit_code == 0
    files = Bundle.open(tiny_bundle).manifest.files
    assert result.stdout.startswith(f"{len(files)} files, ")
    assert result.stderr.startswith("Hashing files")


NAMES = ("manifest.json", "manifest.sha256", "plan.bin", "weights.bin", "ossc-run")


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_refused(refusal, tiny_bundle, name):
    (tiny_bundle / name).unlink()
    assert name in refusal("verify", tiny_bundle)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size_bytes", ["empty", "shorter", "longer"])
def test_a_file_of_another_size_is_refused(refusal, tiny_bundle, name, size_bytes):
    data = (tiny_bundle / name).read_bytes()
    changed = {"empty": b"", "shorter": data[:-1], "longer": data + b"\n"}[size_bytes]
    (tiny_bundle / name).write_bytes(changed)
    assert "manifest" in refusal("verify", tiny_bundle)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["directory", "pipe", "dangling link", "endless device"])
def test_what_is_no_file_is_refused_and_not_waited_for(refusal, tiny_bundle, name, kind):
    (tiny_bundle / name).unlink()
    if kind == "directory":
        (tiny_bundle / name).mkdir()
    elif kind == "pipe":
        os.mkfifo(tiny_bundle / name)
    else:
        (tiny_bundle / name).symlink_to("nowhere" if kind == "dangling link" else "/dev/zero")
    assert name in refusal("verify", tiny_bundle)


def test_a_huge_manifest_is_refused_before_it_is_read(refusal, tiny_bundle):
    os.truncate(tiny_bundle / "manifest.json", 2**40)
    assert "manifest.json is larger than 4194304 bytes" in refusal("verify", tiny_bundle)


def test_links_to_the_same_files_hold_as_in_a_download_cache(ossc, tiny_bundle, tmp_path):
    blobs = tmp_path / "blobs"
    shutil.move(tiny_bundle, blobs)
    tiny_bundle.mkdir()
    for blob in blobs.iterdir():
        (tiny_bundle / blob.name).symlink_to(blob)
    assert ossc("verify", tiny_bundle).exit_code == 0


@pytest.mark.parametrize("name", ["notes.txt", ".lock", "libother.so"])
def test_another_file_is_refused(refusal, tiny_bundle, name):
    (tiny_bundle / name).touch()
    assert f"holds files that its manifest does not list ({name})" in refusal("verify", tiny_bundle)


def test_another_folder_is_refused(refusal, tiny_bundle):
    (tiny_bundle / "folder").mkdir()
    assert "does not list (folder)" in refusal("verify", tiny_bundle)


def test_an_oracle_without_a_model_is_wrong_usage(ossc, tiny_bundle):
    result = ossc("verify", tiny_bundle, "--oracle", "transformers")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--oracle needs --against MODEL" in result.stderr


def test_an_oracle_that_there_is_not_is_wrong_usage(ossc, tiny_bundle):
    result = ossc("verify", tiny_bundle, "--against", tiny_bundle, "--oracle", "llama.cpp")
    assert result.exit_code == 2
    assert "'llama.cpp' is not one of 'onnxruntime', 'transformers'" in result.stderr
