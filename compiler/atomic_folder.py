"""A folder that appears in its place complete, or not at all.

It is built in a hidden sibling of its place, so on the same disk, and moved there by one rename::

    .<name>.ossc-partial-<random>/
        lock      locked (flock) as long as the writer lives, so that others see it
        new/      becomes the folder
        scratch/  what the writer needs meanwhile
        old/      the folder replaced, on disks that cannot exchange two folders in one step

:func:`remove_dead_siblings` removes the siblings whose lock is free: their writers were killed.
"""

import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_MAX_NAME_LETTERS = 50
"""Of the place's name in the sibling's, which file systems limit to 255 bytes, 4 a letter."""

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""Flag of renameat2(2): swap two paths in one step."""


@dataclass(frozen=True, kw_only=True)
class NewFolder:
    """A folder under construction."""

    content: Path
    """Becomes the folder."""

    scratch: Path
    """On the same disk; removed with all that is in it."""

    place: Path

    def publish(self, *, replace: bool) -> None:
        """Write everything through to the disk, then move the content to its place.

        Args:
            replace: Whether to replace what is there; otherwise it may be an empty folder at most.

        Raises:
            OSError: The disk is full or fails, or something is there that is not to be replaced;
                what was there is there still.
        """
        for file in self.content.iterdir():
            _sync(file)
        _sync(self.content)
        if replace and self.place.exists():
            _exchange(self.content, self.place)
        else:
            self.content.rename(self.place)  # fails over a folder that holds anything
        with suppress(OSError):  # the folder is complete and in place; not all disks can do this
            _sync(self.place.parent)


@contextmanager
def new_folder(place: Path) -> Iterator[NewFolder]:
    """Give a folder to build in; it is gone after the block unless it was published.

    Args:
        place: An absolute path, and no symbolic link; parents are made.

    Raises:
        OSError: The folder cannot be written.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    sibling, lock = _make_sibling(place)
    try:
        new = NewFolder(content=sibling / "new", scratch=sibling / "scratch", place=place)
        new.content.mkdir()
        new.scratch.mkdir()
        yield new
    finally:
        try:
            shutil.rmtree(sibling, ignore_errors=True)
        except KeyboardInterrupt:  # once, while it is removed: there may be gigabytes left
            shutil.rmtree(sibling, ignore_errors=True)
            raise
        finally:
            os.close(lock)


def remove_dead_siblings(place: Path) -> list[Path]:
    """Remove what earlier writers for this place left when they were killed.

    Returns:
        The siblings of writers that live.
    """
    prefix, living = _sibling_prefix(place), []
    for sibling in [path for path in place.parent.iterdir() if path.name.startswith(prefix)]:
        with suppress(OSError):  # of another user, say: not ours to remove
            lock = _lock(sibling)
            if lock is not None:
                shutil.rmtree(sibling, ignore_errors=True)
                os.close(lock)
            elif sibling.exists():
                living.append(sibling)
    return living


def _sibling_prefix(place: Path) -> str:
    return f".{place.name[:_MAX_NAME_LETTERS]}.ossc-partial-"


def _make_sibling(place: Path) -> tuple[Path, int]:
    while True:
        sibling = Path(tempfile.mkdtemp(prefix=_sibling_prefix(place), dir=place.parent))
        lock = _lock(sibling)
        if lock is not None:
            return sibling, lock
        # Another run took it for dead before it was locked, and removed it.


def _lock(sibling: Path) -> int | None:
    """Lock a sibling; return the descriptor, or None when it is another's or is gone."""
    file = sibling / "lock"
    try:
        lock = os.open(file, os.O_CREAT | os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), file.stat()):
            return lock
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(lock)
    return None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exchange(new: Path, place: Path) -> None:
    """Swap two folders in one step; where the disk cannot, in two, with no folder in between."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    paths = (_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(place))
    if renameat2 is not None and renameat2(*paths, _RENAME_EXCHANGE) == 0:
        return
    number = ctypes.get_errno()
    if renameat2 is not None and number not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
        raise OSError(number, os.strerror(number), str(place))
    old = new.with_name("old")
    place.rename(old)
    try:
        new.rename(place)
    except OSError:
        old.rename(place)
        raise
