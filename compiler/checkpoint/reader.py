"""A Hugging Face checkpoint: its tensors by name, in safetensors files.

Opening reads headers only; a tensor is mapped into memory when it is asked for. A folder of the
Hugging Face cache, where the files are links to blobs, is read like any other.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from ossc.compiler.checkpoint.advice import INDEX_FILE, SINGLE_FILE, rest_advice
from ossc.compiler.checkpoint.kinds import why_no_weights, why_not_readable, why_other_names
from ossc.compiler.checkpoint.model_folder import find_model_folder
from ossc.compiler.checkpoint.safetensors_header import TensorEntry, read_header
from ossc.compiler.checkpoint.strict_json import read_json_object
from ossc.runtimes.strict_json import shorten
from ossc.targets.errors import CheckpointError

__all__ = ["Checkpoint", "TensorEntry"]

MAX_INDEX_BYTES = 100_000_000
"""Largest index that is believed; that of gpt-oss-120b has 60 kilobytes."""

SHARD_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}\.safetensors")
"""No folder, no drive, nothing that a file system or a terminal treats specially."""

NUMPY_DTYPES: Mapping[str, np.dtype[Any]] = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
    "U16": np.dtype("<u2"),
    "I16": np.dtype("<i2"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "U32": np.dtype("<u4"),
    "I32": np.dtype("<i4"),
    "F32": np.dtype("<f4"),
    "U64": np.dtype("<u8"),
    "I64": np.dtype("<i8"),
    "F64": np.dtype("<f8"),
}


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """An opened checkpoint; see :meth:`open`."""

    path: Path
    tensors: Mapping[str, TensorEntry]

    @classmethod
    def open(cls, path: Path | str) -> "Checkpoint":
        """Read the headers of all files, and check that they fit together.

        Args:
            path: The folder with config.json, and with model.safetensors or its shards and index;
                or what :func:`find_model_folder` takes for one.

        Raises:
            CheckpointError: A file is missing or damaged, the index and the files disagree, or it
                is a checkpoint of a kind that is not read.
        """
        folder = find_model_folder(path)
        try:
            _refuse(why_not_readable(folder))
            tensors = _read_tensors(folder)
        except OSError as error:
            raise CheckpointError(
                f"{error.filename or folder} cannot be read ({error.strerror})."
            ) from error
        _refuse(why_other_names(folder, tensors.keys()))
        return cls(path=folder, tensors=tensors)

    def require(self, name: str, dtypes: Collection[str], shape: tuple[int, ...]) -> TensorEntry:
        """Return the entry of a tensor that has to be there, of one of these dtypes and this shape.

        Raises:
            CheckpointError: It is missing, or of another dtype or shape.
        """
        entry = self._entry(name)
        if entry.dtype not in dtypes:
            raise CheckpointError(
                f"{entry.file}: tensor {name!r} is {entry.dtype}, but has to be "
                f"{' or '.join(dtypes)}; save it as such."
            )
        if entry.shape != shape:
            raise CheckpointError(
                f"{entry.file}: tensor {name!r} has the shape {list(entry.shape)}, "
                f"but config.json asks for {list(shape)}; correct the one that is wrong."
            )
        return entry

    def tensor(self, name: str) -> NDArray[Any]:
        """Map a tensor into memory, read-only; its pages are read when they are touched.

        It is not aligned where the file has it at odd bytes.

        Raises:
            CheckpointError: It is missing, or its file has changed since the checkpoint was opened.
        """
        entry = self._entry(name)
        dtype = NUMPY_DTYPES[entry.dtype]
        try:
            return np.memmap(entry.file, dtype, "r", entry.offset_bytes, entry.shape)
        except (OSError, ValueError) as reason:
            raise CheckpointError(
                f"{entry.file}: tensor {name!r} can no longer be read; "
                f"the file has changed since it was opened."
            ) from reason

    def _entry(self, name: str) -> TensorEntry:
        if name in self.tensors:
            return self.tensors[name]
        raise CheckpointError(
            f"{self.path} has no tensor {name!r}, which its config.json asks for; "
            "download all of the checkpoint, or give one of Hugging Face's layout."
        )


def _refuse(sentence: str | None) -> None:
    if sentence is not None:
        raise CheckpointError(sentence)


def _read_tensors(path: Path) -> dict[str, TensorEntry]:
    """Read the headers of the shards that the index names, or of the single file."""
    index, single = path / INDEX_FILE, path / SINGLE_FILE
    has_single = single.is_symlink() or single.exists()
    if index.is_symlink() or index.exists():
        weight_map = _read_weight_map(index)
        if has_single and SINGLE_FILE not in weight_map.values():
            raise CheckpointError(
                f"{path} holds {SINGLE_FILE} beside an {INDEX_FILE} that does not name it; "
                f"remove the one that is not meant."
            )
        return _read_shards(path, weight_map)
    if has_single:
        return read_header(single)
    raise CheckpointError(why_no_weights(path))


def _read_weight_map(index: Path) -> dict[str, str]:
    """Return the file of each tensor; a file is named without any folder."""
    content = read_json_object(index, CheckpointError, max_bytes=MAX_INDEX_BYTES)
    weight_map = content.section("weight_map").fields
    for name, file in weight_map.items():
        if not isinstance(file, str) or not SHARD_NAME.fullmatch(file):
            raise CheckpointError(
                f"{index} says that tensor {shorten(name, 200)} is in {shorten(file)}, "
                f"but a shard has to be a .safetensors file of the same folder."
            )
    return dict(weight_map)


def _read_shards(path: Path, weight_map: Mapping[str, str]) -> dict[str, TensorEntry]:
    """Read every shard's header, and check that index and shards list the same tensors."""
    tensors: dict[str, TensorEntry] = {}
    for file, name in sorted({file: name for name, file in weight_map.items()}.items()):
        if not (path / file).exists():
            raise CheckpointError(
                f"{path / file} is missing, which {INDEX_FILE} says holds {shorten(name, 200)}; "
                f"{rest_advice(path)}."
            )
        tensors |= _read_shard(path / file, weight_map)
    for name, file in weight_map.items():
        if name not in tensors:
            raise CheckpointError(
                f"{path / file} lacks tensor {shorten(name, 200)}, "
                f"which {INDEX_FILE} says it holds."
            )
    return tensors


def _read_shard(file: Path, weight_map: Mapping[str, str]) -> dict[str, TensorEntry]:
    """Read one shard's header; the index has to list all that is in it."""
    tensors = read_header(file)
    for name in tensors:
        if weight_map.get(name) != file.name:
            raise CheckpointError(
                f"{file} holds tensor {shorten(name, 200)}, but {INDEX_FILE} says that it is in "
                f"{weight_map.get(name, 'no file')}."
            )
    return tensors
