"""Writing a bundle: where it may go, what a disk may do to it, and its weights."""

import hashlib
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from disks import run_on_disk
from ossc.compiler.bundle import (
    TEXT_FILES,
    check_space,
    copy_text_files,
    new_bundle,
    prepare_place,
    write_weights,
)
from ossc.compiler.lowering.shards import Shard
from ossc.compiler.lowering.weights import PackedWeight
from ossc.targets.errors import BundleError
from synthetic.tiny_bundle import write_bundle

LINKS = Path(__file__).parents[2] / ".links"


def write(place, *, force=False):
    """Write a bundle of one file to a place, as the pipeline does it."""
    with new_bundle(prepare_place(place, force=force), force=force) as new:
        (new.content / "manifest.json").write_text("new")


def test_a_bundle_appears_with_the_folders_above_it(tmp_path):
    write(tmp_path / "a" / "b" / "bundle")
    assert (tmp_path / "a" / "b" / "bundle" / "manifest.json").read_text() == "new"


def test_a_place_that_is_refused_costs_no_folder(tmp_path):
    (tmp_path / "file").write_text("of the user")
    with pytest.raises(BundleError, match="file is no folder that this user can write to"):
        prepare_place(tmp_path / "file" / "bundle", force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("name", ["file", "notes.txt", "manifest.json"])
def test_what_is_no_bundle_is_never_replaced(tmp_path, force, name):
    place = tmp_path / "file"
    if name == "file":
        place.write_text("of the user")
    else:
        place.mkdir()
        (place / name).write_text("of the user")
    with pytest.raises(BundleError, match="exists and is not a bundle; choose another --out"):
        write(place, force=force)
    assert (place if name == "file" else place / name).read_text() == "of the user"


def test_an_empty_folder_becomes_the_bundle(tmp_path):
    (tmp_path / "bundle").mkdir()
    write(tmp_path / "bundle")
    assert (tmp_path / "bundle" / "manifest.json").is_file()


def test_a_bundle_is_replaced_only_by_force(tmp_path):
    place = write_bundle(tmp_path / "bundle")
    before = (place / "manifest.json").read_bytes()
    with pytest.raises(BundleError, match="exists already; replace it with --force"):
        write(place)
    assert (place / "manifest.json").read_bytes() == before
    write(place, force=True)
    assert [path.name for path in place.iterdir()] == ["manifest.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_link_to_a_bundle_stays_and_the_bundle_behind_it_is_replaced(tmp_path):
    behind = write_bundle(tmp_path / "disk" / "bundle")
    (tmp_path / "link").symlink_to(behind)
    write(tmp_path / "link", force=True)
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in behind.iterdir()] == ["manifest.json"]


def test_a_bundle_that_appeared_meanwhile_is_not_replaced_unasked(tmp_path):
    place = tmp_path / "bundle"

    def write_while_another_does():
        with new_bundle(prepare_place(place, force=False), force=False):
            write_bundle(place)

    with pytest.raises(BundleError, match="exists already"):
        write_while_another_does()
    assert (place / "weights.bin").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_place_that_another_run_is_writing_is_refused_at_once(tmp_path):
    place = tmp_path / "bundle"
    expected = pytest.raises(BundleError, match=r"Another ossc is writing .*; wait for it, or")
    with new_bundle(prepare_place(place, force=False), force=False), expected:
        prepare_place(place, force=True)
    assert place.is_dir()


def test_the_current_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BundleError, match=r"the current folder, .* choose a folder in it"):
        write(Path())


def test_a_mount_point_is_refused():
    with pytest.raises(BundleError, match=r"/proc is a mount point .* choose a folder in it"):
        write(Path("/proc"))


def test_a_name_that_is_too_long_is_refused(tmp_path):
    with pytest.raises(BundleError, match=r"cannot be written \(File name too long\)"):
        write(tmp_path / ("x" * 300))


def test_a_folder_that_may_not_be_written_is_refused(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(BundleError, match="no folder that this user can write to"):
        write(tmp_path / "bundle")


WRITE = """
import os, sys
from pathlib import Path
from ossc.compiler.bundle import check_space, new_bundle, prepare_place
from ossc.targets.errors import BundleError
disk = Path(sys.argv[1])
try:
    place = prepare_place(disk / "bundle", force=False)
    with new_bundle(place, force=False) as new:
        check_space(new.content, int(sys.argv[2]))
        (new.content / "weights.bin").write_bytes(bytes(int(sys.argv[3])))
except BundleError as error:
    print(error)
print(*[path.relative_to(disk) for path in disk.rglob("*")])
"""


@pytest.mark.parametrize(
    ("options", "planned_bytes", "written_bytes", "message"),
    [
        pytest.param("ro", 0, 0, "no folder that this user can write to; choose", id="read-only"),
        pytest.param(
            "size=6m", 3_000_000, 0, "needs 7 MB, and its disk has 6 MB free; free", id="no-room"
        ),
        pytest.param(
            "size=6m", 1_000_000, 7_000_000, "The disk is full, so", id="filled-meanwhile"
        ),
        pytest.param("size=9m", 4_000_000, 4_000_000, None, id="room"),
    ],
)
def test_a_disk_gets_the_whole_bundle_or_nothing(
    tmp_path, options, planned_bytes, written_bytes, message
):
    command = [sys.executable, "-c", WRITE, str(tmp_path), str(planned_bytes), str(written_bytes)]
    done = run_on_disk(tmp_path, options, command, PYTHONPATH=str(LINKS))
    assert done.returncode == 0, done.stderr
    *said, left = done.stdout.splitlines()
    if message is None:
        assert said == []
        assert set(left.split()) == {"bundle", "bundle/weights.bin"}
    else:
        assert message in said[0]
        assert left == ""


def test_space_is_needed_for_the_code_too(tmp_path):
    with pytest.raises(BundleError, match=r"is kept until the new one is complete"):
        check_space(tmp_path, 10**18)
    check_space(tmp_path, 0)


def packed(name, size_bytes, value, pieces=1):
    def make():
        for _ in range(pieces):
            yield np.full(size_bytes // pieces, value, np.uint8)

    return PackedWeight(name=name, size_bytes=size_bytes, scheme="bf16", pieces=make)


def test_weights_are_written_at_their_offsets_with_zeros_between(tmp_path):
    weights = {"a": packed("a", 6, 1, pieces=3), "b": packed("b", 2, 2)}
    came = []
    shard = Shard(file="weights.bin", size_bytes=12, offsets={"a": 0, "b": 8})
    entry = write_weights(tmp_path, weights, shard, lambda name, size: came.append((name, size)))
    data = (tmp_path / "weights.bin").read_bytes()
    assert data == bytes([1] * 6 + [0] * 2 + [2] * 2 + [0] * 2)
    assert (entry.size_bytes, entry.sha256) == (12, hashlib.sha256(data).hexdigest())
    assert came == [("a", 2)] * 3 + [("b", 2)]


def test_a_weight_of_another_size_than_planned_is_a_fault_of_ours(tmp_path):
    with pytest.raises(AssertionError, match="a has another size than planned"):
        write_weights(
            tmp_path,
            {
                "a": PackedWeight(
                    name="a", size_bytes=4, scheme="bf16", pieces=packed("", 3, 0).pieces
                )
            },
            Shard(file="weights.bin", size_bytes=4, offsets={"a": 0}),
            lambda *_: None,
        )


def test_the_text_files_that_are_there_are_copied_even_through_links(tmp_path):
    checkpoint, folder = tmp_path / "checkpoint", tmp_path / "bundle"
    checkpoint.mkdir()
    folder.mkdir()
    (tmp_path / "blob").write_text("{}")
    (checkpoint / "tokenizer.json").symlink_to(tmp_path / "blob")
    (checkpoint / "vocab.json").write_text("not needed")
    copy_text_files(checkpoint, folder)
    assert [path.name for path in folder.iterdir()] == [TEXT_FILES[0]]
    assert not (folder / TEXT_FILES[0]).is_symlink()
