"""Bundles whose files are missing, damaged or no files: refused by Python and by ``ossc-run``."""

import os
import shutil
import subprocess

import pytest

from ossc.runtimes.session import Session
from synthetic.refused_bundle import READERS

NAMES = ("manifest.json", "manifest.sha256", "plan.bin", "weights.bin", "libossc_model.so")


@pytest.fixture(params=READERS.values(), ids=READERS)
def refusal(request, tiny_bundle, binaries):
    """Opens the bundle, which has to be refused, and returns the reason."""
    return lambda: request.param(tiny_bundle, binaries[1])


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_refused(refusal, tiny_bundle, name):
    (tiny_bundle / name).unlink()
    assert name in refusal()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", ["empty", "shorter", "longer"])
def test_a_file_of_another_size_is_refused(refusal, tiny_bundle, name, size):
    data = (tiny_bundle / name).read_bytes()
    changed = {"empty": b"", "shorter": data[:-1], "longer": data + b"\n"}[size]
    (tiny_bundle / name).unlink()  # may be loaded by this process
    (tiny_bundle / name).write_bytes(changed)
    assert "manifest" in refusal()


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
    assert name in refusal()


def test_a_huge_manifest_is_refused_before_it_is_read(refusal, tiny_bundle):
    os.truncate(tiny_bundle / "manifest.json", 2**40)
    assert "4194304 bytes" in refusal()


def test_files_may_be_links_as_in_a_download_cache(tiny_bundle, tmp_path):
    shutil.move(tiny_bundle, tmp_path / "blobs")
    tiny_bundle.mkdir()
    for blob in (tmp_path / "blobs").iterdir():
        (tiny_bundle / blob.name).symlink_to(blob)
    with Session(tiny_bundle) as session:
        expected = list(session.generate([1], max_new_tokens=3))
    command = [tiny_bundle / "ossc-run", tiny_bundle, "--token-ids", "1", "-n", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [int(word) for word in done.stdout.split()] == expected


def test_a_file_that_is_not_listed_is_no_matter_to_a_run(tiny_bundle):
    (tiny_bundle / "notes.txt").write_text("mine")
    with Session(tiny_bundle) as session:
        assert session.prefill([1]).shape == (session.vocab_size,)
