"""The tensors of a checkpoint, as a family takes them: each has a place, or is refused."""

from collections.abc import Iterable

import onnx_ir as ir

from ossc.compiler.checkpoint.reader import Checkpoint, TensorEntry
from ossc.compiler.checkpoint.views import FileTensor
from ossc.compiler.storage import storage_formats
from ossc.compiler.storage.format import StorageFormat, StoredWeight
from ossc.targets.errors import CheckpointError, QuantizationError

_DTYPES = {
    "BF16": ir.DataType.BFLOAT16,
    "F16": ir.DataType.FLOAT16,
    "F32": ir.DataType.FLOAT,
    "F8_E4M3": ir.DataType.UINT8,  # ONNX has few operators that take it: bytes, and a table of 256
    "I8": ir.DataType.INT8,
    "I32": ir.DataType.INT32,
    "I64": ir.DataType.INT64,
    "U8": ir.DataType.UINT8,
}
"""ONNX's name of a safetensors dtype."""

WeightMap = dict[str, StoredWeight]
"""Every weight of a model, by the name that the family's graph uses."""


class TensorIndex:
    """Finds weights by name and shape, whatever form they are stored in; nothing is read."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Start with no tensor taken."""
        self.checkpoint = checkpoint
        self._taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        """Whether the checkpoint has a tensor of this name."""
        return name in self.checkpoint.tensors

    def floats(self, name: str, shape: tuple[int, ...]) -> WeightMap:
        """Take a tensor that has to be floats: a norm's weight, a bias, a router.

        Args:
            name: Of the tensor.
            shape: That it has to have.

        Raises:
            CheckpointError: It is missing, or of another dtype or shape.
        """
        return self._take(name, shape, [f for f in storage_formats() if f.suffixes == ("",)])

    def weight(self, name: str, shape: tuple[int, ...], *, called: str | None = None) -> WeightMap:
        """Take a weight ``[..., N, K]`` that may be stored in any form.

        Args:
            name: Of its tensor, or what the names of its tensors begin with.
            shape: That it has to have.
            called: What the graph calls it, if not the same.

        Raises:
            CheckpointError: It is missing, or of another dtype or shape.
        """
        return self._take(name, shape, storage_formats(), called)

    def alike(self, names: Iterable[str], shape: tuple[int, ...]) -> WeightMap:
        """Take weights of one shape that have to be stored in one form: the experts of a layer.

        Raises:
            CheckpointError: One is missing, of another dtype or shape, or stored otherwise.
        """
        weights: WeightMap = {}
        for name in names:
            weights |= self.weight(name, shape)
        first = next(iter(weights.values()))
        for each in weights.values():
            if each.format.name != first.format.name:
                raise CheckpointError(
                    f"{self.checkpoint.path}: {first.name} is stored as {first.format.name} and "
                    f"{each.name} as {each.format.name}; store the experts of a layer alike."
                )
        return weights

    def ignore(self, names: Iterable[str]) -> None:
        """Take tensors that hold nothing which a model computes with, such as buffers."""
        self._taken.update(name for name in names if name in self)

    def refuse_others(self, model: str) -> None:
        """Fail where a tensor was not taken: it would change what the model computes.

        Args:
            model: What has no place for it: ``a gpt_oss model of 24 layers``.

        Raises:
            CheckpointError: There is one.
        """
        for name, entry in self.checkpoint.tensors.items():
            if name not in self._taken:
                raise CheckpointError(
                    f"{entry.file}: tensor {name!r} has no place in {model}; leave it out, or "
                    "correct config.json."
                )

    def _take(
        self,
        name: str,
        shape: tuple[int, ...],
        formats: Iterable[StorageFormat],
        called: str | None = None,
    ) -> WeightMap:
        known = list(formats)
        stored = next((each for each in known if self._is_stored_as(each, name)), None)
        if stored is None:
            self._refuse(name, shape, known)
        assert stored is not None
        try:
            shapes = stored.format.part_shapes(shape)
        except QuantizationError as error:
            raise CheckpointError(f"{self.checkpoint.path}: {name}: {error}") from error
        names = stored.tensor_names(name)
        entries = [
            self.checkpoint.require(tensor, (dtype,), part_shape)
            for tensor, dtype, part_shape in zip(names, stored.dtypes, shapes, strict=True)
        ]
        self._taken.update(names)
        graph_name = called or name
        parts = tuple(
            _file_tensor(entry, graph_name + suffix)
            for entry, suffix in zip(entries, stored.suffixes, strict=True)
        )
        return {graph_name: StoredWeight(name=graph_name, format=stored.format, parts=parts)}

    def _is_stored_as(self, each: StorageFormat, name: str) -> bool:
        tensors = self.checkpoint.tensors
        return all(
            tensor in tensors and tensors[tensor].dtype == dtype
            for tensor, dtype in zip(each.tensor_names(name), each.dtypes, strict=True)
        )

    def _refuse(self, name: str, shape: tuple[int, ...], formats: list[StorageFormat]) -> None:
        """Fail with what is wrong about the form that comes nearest."""
        nearest = max(
            formats,
            key=lambda f: (sum(t in self for t in f.tensor_names(name)), -len(f.suffixes)),
        )
        alike = [each for each in formats if each.suffixes == nearest.suffixes]
        shapes = nearest.format.part_shapes(shape)
        for index, tensor in enumerate(nearest.tensor_names(name)):
            self.checkpoint.require(tensor, [each.dtypes[index] for each in alike], shapes[index])


def _file_tensor(entry: TensorEntry, name: str) -> FileTensor:
    return FileTensor(
        entry.file.name,
        entry.offset_bytes,
        entry.length_bytes,
        _DTYPES[entry.dtype],
        shape=ir.Shape(entry.shape),
        name=name,
        base_dir=entry.file.parent,
    )
