"""The header of a safetensors file: which tensors it holds, and where.

Format: https://huggingface.co/docs/safetensors. A file is an 8-byte little-endian length, that many
bytes of JSON (``name -> dtype, shape, data_offsets``), and the data. The file comes from strangers:
everything the header claims is held against the file's size before anything is read.

A tensor may begin at any byte: many writers pad the header with spaces, so that what follows is
aligned, but the format does not ask for it, and those of PyTorch and of MLX do not.
"""

import math
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ossc.compiler.checkpoint.strict_json import JsonObject, parse_json_object
from ossc.runtimes.strict_json import shorten
from ossc.targets.errors import CheckpointError

MAX_HEADER_BYTES = 100_000_000
"""Longest header that the safetensors library accepts."""

LENGTH_BYTES = 8

DTYPE_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "F8_E8M0": 1,
    "U16": 2,
    "I16": 2,
    "F16": 2,
    "BF16": 2,
    "U32": 4,
    "I32": 4,
    "F32": 4,
    "U64": 8,
    "I64": 8,
    "F64": 8,
}
"""Bytes of one element."""


@dataclass(frozen=True, kw_only=True)
class TensorEntry:
    """Where one tensor lies."""

    name: str
    file: Path
    dtype: str
    """A key of :data:`DTYPE_BYTES`."""

    shape: tuple[int, ...]
    offset_bytes: int
    """From the start of the file."""

    length_bytes: int

    @property
    def end_bytes(self) -> int:
        """The first byte after the tensor."""
        return self.offset_bytes + self.length_bytes


def read_header(path: Path) -> dict[str, TensorEntry]:
    """Read and check a file's header.

    Args:
        path: The file; may be a symbolic link.

    Returns:
        The tensors by name, in the order of their place in the file.

    Raises:
        CheckpointError: The file is missing or unreadable, or the header is not one, or it does not
            describe exactly the bytes that the file holds.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise CheckpointError(
                f"{path} is not a regular file, but has to be a safetensors file."
            )
        with path.open("rb") as file:
            file_bytes = os.fstat(file.fileno()).st_size
            header = _read_json(file, path, file_bytes)
    except FileNotFoundError as reason:
        raise CheckpointError(
            f"{path} is missing; download the checkpoint again, or the rest of it."
        ) from reason
    except OSError as reason:
        raise CheckpointError(f"{path} cannot be read: {reason.strerror}.") from reason
    return _read_entries(path, *header, file_bytes)


def _read_json(file: BinaryIO, path: Path, file_bytes: int) -> tuple[JsonObject, int]:
    """Return the header, and where the data begins."""
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    data_begin = LENGTH_BYTES + length
    if file_bytes < LENGTH_BYTES:
        raise CheckpointError(
            f"{path} is truncated: it has {file_bytes} bytes, fewer than the {LENGTH_BYTES} that "
            f"every safetensors file begins with."
        )
    if length > MAX_HEADER_BYTES:
        raise CheckpointError(
            f"{path} claims a header of {length} bytes, but at most {MAX_HEADER_BYTES} are "
            f"accepted; this is no safetensors file, or a damaged one."
        )
    if data_begin > file_bytes:
        raise CheckpointError(
            f"{path} is truncated: its header ends at byte {data_begin}, "
            f"but the file has {file_bytes}."
        )
    header = parse_json_object(file.read(length), f"The header of {path}", CheckpointError)
    return header, data_begin


def _read_entries(
    path: Path, header: JsonObject, data_begin: int, file_bytes: int
) -> dict[str, TensorEntry]:
    names = (name for name in header.fields if name != "__metadata__")
    entries = [_read_entry(path, name, header.fields[name], data_begin) for name in names]
    entries.sort(key=lambda entry: (entry.offset_bytes, entry.end_bytes))
    _check_coverage(path, entries, data_begin, file_bytes)
    return {entry.name: entry for entry in entries}


def _read_entry(path: Path, name: str, fields: Any, data_begin: int) -> TensorEntry:
    where = _where(path, name)
    if not isinstance(fields, dict) or fields.keys() != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(
            f"{where} is described by {shorten(fields)}, "
            f"but needs exactly dtype, shape and data_offsets."
        )
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise CheckpointError(f"{where} has the dtype {shorten(dtype)}, which is not known.")
    if not _are_sizes(shape):
        raise CheckpointError(f"{where} has the shape {shorten(shape)}, which is not one.")
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise CheckpointError(
            f"{where} has the data_offsets {shorten(offsets)}, which are not a begin and an end."
        )
    entry = TensorEntry(
        name=name,
        file=path,
        dtype=dtype,
        shape=tuple(shape),
        offset_bytes=data_begin + offsets[0],
        length_bytes=offsets[1] - offsets[0],
    )
    _check_entry(entry, where)
    return entry


def _are_sizes(values: Any) -> bool:
    return isinstance(values, list) and all(
        type(value) is int and 0 <= value < 2**63 for value in values
    )


def _check_entry(entry: TensorEntry, where: str) -> None:
    """Check what a tensor says of itself: its size and its length."""
    needed = math.prod(entry.shape) * DTYPE_BYTES[entry.dtype]
    if needed == 0:
        raise CheckpointError(f"{where} is empty: its shape is {list(entry.shape)}.")
    if needed != entry.length_bytes:
        raise CheckpointError(
            f"{where} has {entry.length_bytes} bytes, "
            f"but {entry.dtype} {list(entry.shape)} needs {needed}."
        )


def _check_coverage(
    path: Path, entries: Sequence[TensorEntry], data_begin: int, file_bytes: int
) -> None:
    """Check that the tensors, ordered by their offsets, fill the file without gap or overlap."""
    end = data_begin
    previous = None
    for entry in entries:
        where = _where(path, entry.name)
        if entry.end_bytes > file_bytes:
            raise CheckpointError(
                f"{where} ends at byte {entry.end_bytes}, but the file has {file_bytes}: "
                f"it is truncated, or its header is wrong; download it again."
            )
        if entry.offset_bytes < end and previous is not None:
            raise CheckpointError(
                f"{where} begins at byte {entry.offset_bytes}, inside of {previous.name!r}, "
                f"which ends at byte {end}; tensors must not overlap."
            )
        if entry.offset_bytes > end:
            raise CheckpointError(
                f"{where} begins at byte {entry.offset_bytes}, {entry.offset_bytes - end} bytes "
                f"after the tensor before it; a safetensors file has no gaps."
            )
        end, previous = entry.end_bytes, entry
    if end != file_bytes:
        raise CheckpointError(
            f"{path} has {file_bytes} bytes, but its tensors end at byte {end}; "
            f"a safetensors file holds nothing after them."
        )


def _where(path: Path, name: str) -> str:
    return f"{path}: tensor {shorten(name, 200)}"
