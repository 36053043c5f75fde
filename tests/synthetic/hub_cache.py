"""A checkpoint as ``hf download`` leaves it: links, named after the files, to blobs."""

import hashlib
import shutil
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write_snapshot(
    model: Path,
    hub: Path,
    hub_id: str = "org/tiny",
    *,
    commit: str = COMMIT,
    revision: str | None = "main",
) -> Path:
    """Copy a checkpoint into a cache of the hub.

    Args:
        model: The checkpoint; its files are copied.
        hub: The cache's folder; made when it is not there.
        hub_id: ``org/name``.
        commit: 40 hex digits.
        revision: A branch or tag that names the commit from now on.

    Returns:
        The snapshot's folder.
    """
    repository = hub / f"models--{hub_id.replace('/', '--')}"
    snapshot, blobs = repository / "snapshots" / commit, repository / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir(exist_ok=True)
    if revision is not None:
        reference = repository / "refs" / revision
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(commit)
    for file in sorted(model.iterdir()):
        blob = hashlib.sha256(file.read_bytes()).hexdigest()
        shutil.copy(file, blobs / blob)
        (snapshot / file.name).symlink_to(f"../../blobs/{blob}")
    return snapshot
