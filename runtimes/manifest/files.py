"""The files of a bundle, as its manifest lists them."""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, Self, get_args

from ossc.runtimes.file_name import FILE_NAME
from ossc.runtimes.strict_json import StrictObject
from ossc.targets.errors import BundleError

MANIFEST_NAME = "manifest.json"
DIGEST_NAME = "manifest.sha256"
WEIGHTS_NAME = "weights.bin"
"""The file of weights that the compiler writes."""

FileRole = Literal["weights", "plan", "code", "program", "tokenizer", "text", "card"]
"""What a file is for. ``code`` is what steps of a plan name besides kernels of the program, and
``card`` a description for people."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file of the bundle."""

    role: FileRole
    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, role: FileRole, data: bytes) -> Self:
        """The entry of a file with this content."""
        return cls(role=role, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def read_files(fields: StrictObject) -> dict[str, FileEntry]:
    """Read ``files``.

    Raises:
        BundleError: A name or an entry is not valid.
    """
    files = {name: _file(name, fields.object(name)) for name in fields.names()}
    fields.finish()
    return files


def _file(name: str, fields: StrictObject) -> FileEntry:
    if not FILE_NAME.fullmatch(name) or name in (MANIFEST_NAME, DIGEST_NAME):
        raise BundleError(
            f"The manifest lists a file {name!r}, which no bundle has; compile the model again."
        )
    entry = FileEntry(
        role=_role(name, fields.text("role")),
        size_bytes=fields.integer("size_bytes"),
        sha256=fields.text("sha256"),
    )
    fields.finish()
    if not _DIGEST.fullmatch(entry.sha256):
        raise BundleError(
            f"The manifest's sha256 of {name} is not 64 lowercase hex digits; compile the model "
            "again."
        )
    return entry


def _role(name: str, given: str) -> FileRole:
    roles: tuple[FileRole, ...] = get_args(FileRole)
    for role in roles:
        if role == given:
            return role
    raise BundleError(
        f"The manifest gives {name} the role {given[:40]!r}, which is none of {', '.join(roles)}; "
        "compile the model again."
    )
