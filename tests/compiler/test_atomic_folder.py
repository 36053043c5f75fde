"""A folder is in its place complete or not at all, however its writer ends."""

import ctypes
import errno
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from ossc.compiler import atomic_folder
from ossc.compiler.atomic_folder import new_folder, remove_dead_siblings

LINKS = Path(__file__).parents[2] / ".links"

KILL_AT_EVERY_EVENT = """
import os, signal, sys
from pathlib import Path
from ossc.compiler.atomic_folder import new_folder, remove_dead_siblings

place = Path(sys.argv[1])

def write(text):
    remove_dead_siblings(place)
    with new_folder(place) as new:
        for name in "abc":
            (new.content / name).write_text(text)
        new.publish(replace=True)

def write_and_die(event):
    def count(name, arguments):
        nonlocal event
        event -= 1
        if event == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)
    write("new")
    os._exit(0)

event, status = 0, None
while status != 0:
    write("old")
    event += 1
    child = os.fork()
    if child == 0:
        write_and_die(event)
    status = os.waitpid(child, 0)[1]
    left = [path.name for path in place.parent.iterdir() if path != place]
    print(*[path.read_text() for path in place.iterdir()], len(left))
"""
"""Python reports each opening, renaming and removing to audit hooks before it does it."""


def publish(place, text, *, replace=False):
    with new_folder(place) as new:
        (new.content / "file").write_text(text)
        (new.scratch / "object").write_text("not part of the folder")
        new.publish(replace=replace)


def others(place):
    """The names beside a place."""
    return sorted(path.name for path in place.parent.iterdir() if path != place)


def test_a_published_folder_is_all_that_is_left(tmp_path):
    place = tmp_path / "made" / "too" / "place"
    publish(place, "content")
    assert [path.name for path in place.iterdir()] == ["file"]
    assert others(place) == []


def test_a_failed_writer_leaves_nothing(tmp_path):
    def write():
        with new_folder(tmp_path / "place") as new:
            (new.content / "file").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_removal_that_is_interrupted_is_done_again(tmp_path, monkeypatch):
    removals = []

    def rmtree(path, **options):
        removals.append(path)
        if len(removals) == 1:
            raise KeyboardInterrupt
        real_rmtree(path, **options)

    real_rmtree = shutil.rmtree
    monkeypatch.setattr(atomic_folder.shutil, "rmtree", rmtree)
    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path / "place", "content")
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_a_folder_that_was_not_published_is_gone(tmp_path):
    with new_folder(tmp_path / "place"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_empty_folder_is_replaced_unasked(tmp_path):
    (tmp_path / "place").mkdir()
    publish(tmp_path / "place", "content")
    assert (tmp_path / "place" / "file").read_text() == "content"


def test_what_is_there_is_replaced_only_when_asked(tmp_path):
    place = tmp_path / "place"
    publish(place, "old")
    with pytest.raises(OSError, match="not empty") as raised:
        publish(place, "new")
    assert raised.value.errno == errno.ENOTEMPTY
    assert (place / "file").read_text() == "old"
    publish(place, "new", replace=True)
    assert (place / "file").read_text() == "new"
    assert others(place) == []


def test_the_folder_has_the_permissions_of_any_new_folder(tmp_path):
    publish(tmp_path / "place", "content")
    (tmp_path / "usual").mkdir()
    assert (tmp_path / "place").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_of_two_writers_at_once_the_second_fails_and_the_first_stays(tmp_path):
    place = tmp_path / "place"
    with new_folder(place) as first, new_folder(place) as second:
        for new in (first, second):
            (new.content / "file").write_text("first" if new is first else "second")
        first.publish(replace=False)
        with pytest.raises(OSError, match="not empty"):
            second.publish(replace=False)
    assert (place / "file").read_text() == "first"
    assert others(place) == []


def test_a_living_writers_work_is_not_removed(tmp_path):
    place = tmp_path / "place"
    with new_folder(place) as new:
        (new.content / "file").write_text("content")
        assert remove_dead_siblings(place) == [new.content.parent]
        new.publish(replace=False)
    assert (place / "file").read_text() == "content"


@pytest.mark.parametrize("files", [(), ("lock",), ("lock", "new/weights.bin", "scratch/kernels.o")])
@pytest.mark.parametrize("name", ["place", "a [0-9]*? name", "x" * 255, "長" * 85])
def test_a_dead_writers_work_is_removed(tmp_path, name, files):
    place = tmp_path / name
    with ExitStack() as stack:
        sibling = stack.enter_context(new_folder(place)).content.parent
        dead = sibling.with_name(sibling.name[:-8] + "deadbeef")
    for file in files:
        (dead / file).parent.mkdir(parents=True, exist_ok=True)
        (dead / file).touch()
    dead.mkdir(exist_ok=True)
    assert remove_dead_siblings(place) == []
    assert list(tmp_path.iterdir()) == []


def test_a_dead_writers_work_for_another_place_is_left(tmp_path):
    other = tmp_path / ".other.ossc-partial-deadbeef"
    other.mkdir()
    remove_dead_siblings(tmp_path / "place")
    assert other.is_dir()


def test_a_writer_whose_young_folder_was_taken_for_dead_begins_again(tmp_path, monkeypatch):
    made = []

    def mkdtemp(**options):
        made.append(real_mkdtemp(**options))
        if len(made) == 1:
            remove_dead_siblings(tmp_path / "place")  # before it is locked
        return made[-1]

    real_mkdtemp = atomic_folder.tempfile.mkdtemp
    monkeypatch.setattr(atomic_folder.tempfile, "mkdtemp", mkdtemp)
    publish(tmp_path / "place", "content")
    assert len(made) == 2
    assert (tmp_path / "place" / "file").read_text() == "content"


def test_a_writer_whose_lock_is_of_a_removed_folder_begins_again(tmp_path, monkeypatch):
    real_flock, times = atomic_folder.fcntl.flock, []

    def flock(descriptor, operation):
        times.append(operation)
        if len(times) == 1:  # another run was quicker, and removed the folder
            (sibling,) = tmp_path.iterdir()
            shutil.rmtree(sibling)
        real_flock(descriptor, operation)

    monkeypatch.setattr(atomic_folder.fcntl, "flock", flock)
    publish(tmp_path / "place", "content")
    assert len(times) == 2
    assert (tmp_path / "place" / "file").read_text() == "content"


class LibraryWithoutExchange:
    """A libc on a disk that cannot exchange two folders."""

    def __init__(self, *_args, **_options):
        ctypes.set_errno(errno.EINVAL)

    def renameat2(self, *_arguments):
        """Fail."""
        return -1


class OldLibrary:
    """A libc from before renameat2(2)."""

    def __init__(self, *_args, **_options):
        pass


@pytest.mark.parametrize("library", [LibraryWithoutExchange, OldLibrary])
def test_a_disk_that_cannot_exchange_gets_two_renames(tmp_path, monkeypatch, library):
    publish(tmp_path / "place", "old")
    monkeypatch.setattr(ctypes, "CDLL", library)
    publish(tmp_path / "place", "new", replace=True)
    assert (tmp_path / "place" / "file").read_text() == "new"
    assert others(tmp_path / "place") == []


def test_when_the_second_rename_fails_the_old_folder_is_back(tmp_path, monkeypatch):
    place = tmp_path / "place"
    publish(place, "old")
    monkeypatch.setattr(ctypes, "CDLL", OldLibrary)
    real_rename = Path.rename

    def rename(path, target):
        if path.name == "new":
            raise OSError(errno.EIO, "a broken disk")
        return real_rename(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(OSError, match="a broken disk"):
        publish(place, "new", replace=True)
    assert (place / "file").read_text() == "old"
    assert others(place) == []


def test_all_is_on_the_disk_before_the_folder_is_in_its_place(tmp_path, monkeypatch):
    place, synced = tmp_path / "place", []

    def fsync(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((path.name, place.exists()))

    monkeypatch.setattr(os, "fsync", fsync)
    publish(place, "content")
    assert synced == [("file", False), ("new", False), (tmp_path.name, True)]


def test_a_writer_killed_at_any_moment_leaves_the_old_folder_or_the_new_one(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", KILL_AT_EVERY_EVENT, str(tmp_path / "place")],
        env={"PYTHONPATH": str(LINKS)},
        capture_output=True,
        text=True,
        check=True,
    )
    seen = done.stdout.splitlines()
    assert set(seen) == {"old old old 0", "old old old 1", "new new new 1", "new new new 0"}
    assert len(seen) > 30
    assert seen[-1] == "new new new 0"
