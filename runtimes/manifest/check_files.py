"""Comparing the files of a bundle with its manifest."""

import hashlib
from collections.abc import Callable
from pathlib import Path

from ossc.runtimes.manifest.files import DIGEST_NAME, MANIFEST_NAME, FileEntry
from ossc.runtimes.manifest.manifest import Manifest
from ossc.runtimes.system_advice import read_advice
from ossc.targets.errors import BundleError

_HASH_BLOCK_BYTES = 2**20


def hash_file(path: Path, progress: Callable[[int], None] = lambda _: None) -> str:
    """SHA-256 of a file in hex.

    Args:
        path: The file.
        progress: Called with the number of bytes each time some were hashed.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
            progress(len(block))
    return digest.hexdigest()


def check_files(
    bundle: Path,
    *,
    hash_weights: bool,
    only_listed: bool,
    progress: Callable[[int], None] = lambda _: None,
) -> Manifest:
    """Compare a bundle's files with its manifest.

    Args:
        bundle: The directory.
        hash_weights: Whether to hash the weights too, which takes long; their sizes are always
            compared.
        only_listed: Whether another file in the directory is an error.
        progress: Called with the number of bytes each time some were hashed.

    Raises:
        BundleError: The manifest is not valid, or a file is missing, differs or is not listed.
    """
    manifest = Manifest.read(bundle)
    for name, entry in manifest.files.items():
        _check_size(bundle / name, entry)
    for name, entry in manifest.files.items():
        if entry.role != "weights" or hash_weights:
            _check_hash(bundle / name, entry, progress)
    if only_listed:
        _check_only_listed(bundle, manifest)
    return manifest


def _check_size(path: Path, entry: FileEntry) -> None:
    if not path.is_file():
        raise BundleError(f"{path} is missing; copy or compile the bundle again.")
    size = path.stat().st_size
    if size != entry.size_bytes:
        raise BundleError(
            f"{path} has {size} bytes and the manifest says {entry.size_bytes}; copy or compile "
            "the bundle again."
        )


def _check_hash(path: Path, entry: FileEntry, progress: Callable[[int], None]) -> None:
    try:
        digest = hash_file(path, progress)
    except OSError as error:
        advice = read_advice(error, "copy or compile the bundle again")
        raise BundleError(f"{path} cannot be read ({error.strerror}); {advice}.") from error
    if digest != entry.sha256:
        raise BundleError(
            f"{path} does not have the hash in the manifest: it is damaged or was changed; copy or "
            "compile the bundle again."
        )


def _check_only_listed(bundle: Path, manifest: Manifest) -> None:
    listed = {*manifest.files, MANIFEST_NAME, DIGEST_NAME}
    others = sorted(path.name for path in bundle.iterdir() if path.name not in listed)
    if others:
        raise BundleError(
            f"{bundle} holds files that its manifest does not list ({', '.join(others)}); remove "
            "them or compile the bundle again."
        )
