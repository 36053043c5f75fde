"""Writing a bundle: all of it or nothing, and never over something else."""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ossc.compiler.atomic_folder import NewFolder, new_folder, remove_dead_siblings
from ossc.compiler.lowering.shards import Shard
from ossc.compiler.lowering.weights import PackedWeight
from ossc.runtimes.manifest import (
    DIGEST_NAME,
    MANIFEST_NAME,
    FileEntry,
    FileRole,
    hash_file,
)
from ossc.runtimes.text_files import TEXT_FILES, find_text_file
from ossc.targets.errors import BundleError, CheckpointError

CODE_BYTES = 4_000_000
"""Allowance for ``ossc-run``, ``libossc_model.so`` and the plan; gpt-oss takes less."""

_UNWRITABLE = (
    errno.EACCES,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ENOTDIR,
    errno.ENOTEMPTY,
    errno.EPERM,
    errno.EROFS,
)
"""What the system says where a folder cannot be made, or holds something by now."""


def prepare_place(place: Path, *, force: bool) -> Path:
    """Remove what killed runs left at a bundle's place, and make sure that it can be written.

    Returns:
        The place, absolute and without symbolic links.

    Raises:
        BundleError: It cannot be written, is being written by another run, or holds something that
            must not be lost.
    """
    place = Path(os.path.realpath(place))
    with _disk_errors(place):
        if place.parent.is_dir() and remove_dead_siblings(place):
            raise BundleError(
                f"Another ossc is writing {place} at this moment; wait for it, or choose another "
                "--out."
            )
        check_place(place, force=force)
        existing = [path for path in (place, *place.parents) if os.path.lexists(path)]
        for folder in existing[: 2 if existing[0] == place else 1]:
            if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
                raise BundleError(
                    f"{place} cannot be written, because {folder} is no folder that this user can "
                    "write to; choose another --out."
                )
    return place


@contextmanager
def new_bundle(place: Path, *, force: bool) -> Iterator[NewFolder]:
    """Give a folder to build in; it becomes ``place`` when the block ends without an error.

    Args:
        place: Where the bundle goes, from :func:`prepare_place`.
        force: Whether a bundle that is there already is replaced.

    Raises:
        BundleError: Something else is there by now, the folder cannot be written, or the disk is
            full; what was there is there still.
    """
    with _disk_errors(place), new_folder(place) as new:
        yield new
        check_place(place, force=force)
        new.publish(replace=force)


def check_place(place: Path, *, force: bool) -> None:
    """Refuse a place that a bundle must not, or cannot, be moved to.

    Raises:
        BundleError: It is one.
    """
    if not os.path.lexists(place):
        return
    if os.path.ismount(place) or place == Path.cwd():
        raise BundleError(
            f"{place} is a mount point or the current folder, which cannot be replaced by a "
            "bundle; choose a folder in it as --out."
        )
    if place.is_dir() and not any(place.iterdir()):
        return
    if not all((place / name).is_file() for name in (MANIFEST_NAME, DIGEST_NAME)):
        raise BundleError(
            f"{place} exists and is not a bundle; choose another --out, or remove it yourself."
        )
    if not force:
        raise BundleError(f"{place} exists already; replace it with --force, or choose --out.")


def write_weights(
    folder: Path,
    weights: Mapping[str, PackedWeight],
    shard: Shard,
    progress: Callable[[str, int], None],
) -> FileEntry:
    """Stream packed weights into a file.

    Args:
        folder: The bundle under construction.
        weights: By name, those of the file among them.
        shard: The file, and where its weights begin.
        progress: Called with a weight's name and the bytes just written.

    Returns:
        The file's entry of the manifest.
    """
    digest = hashlib.sha256()
    end = 0
    with (folder / shard.file).open("wb") as file:

        def put(data: memoryview) -> None:
            nonlocal end
            file.write(data)
            digest.update(data)
            end += len(data)

        for name, offset in shard.offsets.items():
            weight = weights[name]
            put(memoryview(bytes(offset - end)))
            for piece in weight.pieces():
                put(piece.data)
                progress(name, piece.nbytes)
            assert end == offset + weight.size_bytes, f"{name} has another size than planned"
        put(memoryview(bytes(shard.size_bytes - end)))
        file.flush()
        os.fsync(file.fileno())
    return FileEntry(role="weights", size_bytes=end, sha256=digest.hexdigest())


def file_entry(path: Path, role: FileRole) -> FileEntry:
    """Return the manifest's entry of a finished file."""
    return FileEntry(role=role, size_bytes=path.stat().st_size, sha256=hash_file(path))


def check_space(place: Path, weights_bytes: int) -> None:
    """Refuse to start where the disk cannot hold the bundle, beside one that it replaces.

    Args:
        place: A folder on the disk.
        weights_bytes: The bundle's weights.

    Raises:
        BundleError: There is less room than they take together with the code.
    """
    needed_bytes = weights_bytes + CODE_BYTES
    free_bytes = shutil.disk_usage(place).free
    if free_bytes < needed_bytes:
        raise BundleError(
            f"The bundle needs {needed_bytes / 1e6:.0f} MB, and its disk has "
            f"{free_bytes / 1e6:.0f} MB free; free space, or choose --out on another disk "
            "(a bundle that --force replaces is kept until the new one is complete)."
        )


def copy_text_files(checkpoint: Path, folder: Path) -> None:
    """Copy the checkpoint's tokenizer and chat template, where it has them.

    Raises:
        CheckpointError: One is there and cannot be read.
    """
    for name in TEXT_FILES:
        path = find_text_file(checkpoint, name)
        if path is not None:
            try:
                data = path.read_bytes()
            except OSError as error:
                raise CheckpointError(
                    f"{path} cannot be read ({error.strerror}); make it readable."
                ) from error
            (folder / name).write_bytes(data)


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
        if error.errno in _UNWRITABLE:
            raise BundleError(
                f"{place} cannot be written ({error.strerror}); choose another --out."
            ) from error
        raise
