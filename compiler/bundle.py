"""Writing a bundle: all of it or nothing.

A bundle is built in a hidden sibling of its final place and renamed when it is complete, so no
reader ever sees a half one. The sibling holds a locked file as long as its writer lives; a later
run removes siblings whose lock is free.
"""

import ctypes
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ossc.compiler.lowering.weights import PackedWeight
from ossc.runtimes.manifest import MANIFEST_NAME, WEIGHTS_NAME, FileEntry, hash_file
from ossc.targets.errors import BundleError

TEXT_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
"""Files of a checkpoint that turn text into token ids and back; copied as they are."""

_LOCK_NAME = ".lock"
_PARTIAL = ".ossc-partial-"
_RENAME_EXCHANGE = 2
"""Flag of renameat2(2): swap two paths in one step."""

_AT_FDCWD = -100


@contextmanager
def new_bundle(place: Path, *, force: bool) -> Iterator[Path]:
    """Give a folder to build in; it becomes ``place`` when the block ends without an error.

    Args:
        place: Where the bundle goes.
        force: Whether a bundle that is there already is replaced.

    Raises:
        BundleError: Something else is there, the folder cannot be written, or the disk is full.
    """
    place = place.absolute()
    check_place(place, force=force)
    with _disk_errors(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        remove_dead_partials(place)
        partial = Path(tempfile.mkdtemp(prefix=f".{place.name}{_PARTIAL}", dir=place.parent))
        lock = os.open(partial / _LOCK_NAME, os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield partial
            (partial / _LOCK_NAME).unlink()
            partial.chmod(0o755)
            _publish(partial, place)
        finally:
            os.close(lock)
            shutil.rmtree(partial, ignore_errors=True)


def check_place(place: Path, *, force: bool) -> None:
    """Refuse a place that holds something that must not be lost.

    Raises:
        BundleError: It does.
    """
    if not os.path.lexists(place):
        return
    if place.is_dir() and not any(place.iterdir()):
        return
    if not (place / MANIFEST_NAME).is_file():
        raise BundleError(
            f"{place} exists and is not a bundle; choose another --out, or remove it yourself."
        )
    if not force:
        raise BundleError(f"{place} exists already; replace it with --force, or choose --out.")


def remove_dead_partials(place: Path) -> None:
    """Remove what earlier runs for this place left when they were killed."""
    for partial in place.parent.glob(f".{place.name}{_PARTIAL}*"):
        try:
            lock = os.open(partial / _LOCK_NAME, os.O_CREAT | os.O_RDWR)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(partial, ignore_errors=True)
        except BlockingIOError:
            continue  # its writer is alive
        finally:
            os.close(lock)


def write_weights(
    folder: Path,
    weights: Mapping[str, PackedWeight],
    offsets: Mapping[str, int],
    total_bytes: int,
    progress: Callable[[str, int], None],
) -> FileEntry:
    """Stream the packed weights into ``weights.bin``.

    Args:
        folder: The bundle under construction.
        weights: By name, in the order of the file.
        offsets: Of each weight in the file, in bytes.
        total_bytes: Size of the file.
        progress: Called with a weight's name and the bytes just written.

    Returns:
        The file's entry of the manifest.
    """
    digest = hashlib.sha256()
    end = 0
    with (folder / WEIGHTS_NAME).open("wb") as file:

        def put(data: memoryview) -> None:
            nonlocal end
            file.write(data)
            digest.update(data)
            end += len(data)

        for name, weight in weights.items():
            put(memoryview(bytes(offsets[name] - end)))
            for piece in weight.pieces():
                put(piece.data)
                progress(name, piece.nbytes)
            assert end == offsets[name] + weight.size_bytes, f"{name} has another size than planned"
        put(memoryview(bytes(total_bytes - end)))
        file.flush()
        os.fsync(file.fileno())
    return FileEntry(size_bytes=end, sha256=digest.hexdigest())


def file_entry(path: Path) -> FileEntry:
    """Return the manifest's entry of a finished file."""
    return FileEntry(size_bytes=path.stat().st_size, sha256=hash_file(path))


def check_space(folder: Path, needed_bytes: int) -> None:
    """Refuse to start where the disk cannot hold the weights.

    Raises:
        BundleError: There is less room than ``needed_bytes``.
    """
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise BundleError(
            f"The bundle needs {needed_bytes / 1e9:.2f} GB, but the disk of {folder.parent} has "
            f"{free_bytes / 1e9:.2f} GB free; free space, or choose --out on another disk."
        )


def copy_text_files(checkpoint: Path, folder: Path) -> None:
    """Copy the checkpoint's tokenizer and chat template, where it has them."""
    for name in TEXT_FILES:
        if (checkpoint / name).is_file():
            shutil.copyfile(checkpoint / name, folder / name)


@contextmanager
def _disk_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BundleError(
                f"The disk is full, so {place} was not written; free space, or choose --out on "
                "another disk (ossc compile --dry-run says how much it takes)."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR):
            raise BundleError(
                f"{place} cannot be written ({error.strerror}); choose another --out."
            ) from error
        raise


def _publish(partial: Path, place: Path) -> None:
    """Rename in one step, also over a bundle that is there; the old one is removed after."""
    if not place.exists():
        partial.rename(place)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    exchanged = libc.renameat2(
        _AT_FDCWD, os.fsencode(partial), _AT_FDCWD, os.fsencode(place), _RENAME_EXCHANGE
    )
    if exchanged != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(place))
