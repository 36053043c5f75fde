"""Writes a model as an ``.onnx`` file that does not repeat the weights.

ONNX wants external data inside the folder of the ``.onnx`` file, and follows no link that leaves
it. Beside the checkpoint's files the model refers to them as they are. Elsewhere, a folder
``<name>.weights`` gets hard links to them, which take no space. (onnxruntime reads through hard
links; ``onnx.checker`` refuses files that have them.)
"""

import os
from pathlib import Path
from typing import BinaryIO

import onnx_ir as ir

from ossc.compiler.checkpoint.hub_cache import is_in_cache, model_name, require_outside_cache
from ossc.compiler.checkpoint.views import SlicedTensor
from ossc.compiler.oracle.external_data import LargeTensor, append_tensor, file_of, to_proto
from ossc.targets.errors import ExportError

COMPUTED_FILE = "computed.bin"
"""Holds the initializers that are in no file yet: those that a pass computes."""


def default_place(checkpoint: Path) -> Path:
    """Return where a checkpoint's ``.onnx`` file goes: to its folder, unless that is the hub's."""
    if is_in_cache(checkpoint):
        return Path(f"{model_name(checkpoint)}.onnx")
    return checkpoint / "model.onnx"


def save_model(model: ir.Model, path: Path) -> None:
    """Write a model as an ``.onnx`` file; an existing one is replaced when the new one is complete.

    Args:
        model: Exported, at any stage of the passes.
        path: The file to write.

    Raises:
        ExportError: The folder is missing or not writable, or is on another file system than the
            weights, or the disk is full.
        UsageError: The file would be in the cache of the Hugging Face hub.
    """
    require_outside_cache(path)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            weights = _Weights(path)
            file.write(to_proto(model, weights.locate).SerializeToString())
            weights.close()
        partial.replace(path)
    except OSError as error:
        raise ExportError(
            f"Cannot write {error.filename or path}: {error.strerror}; "
            "choose a folder that exists, can be written and has room."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


class _Weights:
    """Finds a place for every large tensor that the ``.onnx`` file may refer to."""

    def __init__(self, path: Path) -> None:
        self._parent = path.parent.resolve()
        self._folder = path.with_suffix(".weights")
        self._linked: set[Path] = set()
        self._computed: BinaryIO | None = None

    def locate(self, tensor: LargeTensor) -> tuple[str, int]:
        if isinstance(tensor, SlicedTensor):
            return f"{self._folder.name}/{COMPUTED_FILE}", self._append(tensor)
        file = file_of(tensor)
        if file.is_relative_to(self._parent):
            return file.relative_to(self._parent).as_posix(), tensor.offset or 0
        name = Path(tensor.location).name
        if file not in self._linked:
            self._link(file, name)
            self._linked.add(file)
        return f"{self._folder.name}/{name}", tensor.offset or 0

    def _append(self, tensor: SlicedTensor) -> int:
        if self._computed is None:
            self._folder.mkdir(exist_ok=True)
            self._computed = (self._folder / COMPUTED_FILE).open("wb")
        return append_tensor(self._computed, tensor)

    def _link(self, file: Path, name: str) -> None:
        self._folder.mkdir(exist_ok=True)
        link = self._folder / name
        link.unlink(missing_ok=True)
        try:
            os.link(file, link)
        except OSError as error:
            raise ExportError(
                f"{file} cannot be linked to {link} ({error.strerror}), and an ONNX file cannot "
                f"refer to weights elsewhere; write it {_near(file)}."
            ) from error

    def close(self) -> None:
        if self._computed is not None:
            self._computed.close()


def _near(file: Path) -> str:
    if is_in_cache(file):
        return "to the file system of that cache"
    return "into the checkpoint's folder, or to its file system"
