"""Writes an ONNX graph whose weights stay in the checkpoint's files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.checkpoint.views import FileTensor
from ossc.compiler.dialect.functions import OPSET_VERSION, attach_functions

IR_VERSION = 12
"""Of the file format; what onnxruntime 1.32 reads."""

Attribute = int | float | str | Sequence[int]

_DTYPES = {
    "BF16": ir.DataType.BFLOAT16,
    "F16": ir.DataType.FLOAT16,
    "F32": ir.DataType.FLOAT,
    "U8": ir.DataType.UINT8,
}
"""ONNX's name of a safetensors dtype."""


class GraphBuilder:
    """Appends nodes in order; names of nodes and values carry the scope they were written in."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Start an empty graph over the tensors of a checkpoint."""
        self.checkpoint = checkpoint
        self._graph = ir.Graph(
            (), (), nodes=(), opset_imports={"": OPSET_VERSION}, name=checkpoint.config.model_type
        )
        self._stored: dict[str, str] = {}
        self._scopes: list[str] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], ir.Value] = {}

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Prefix the names of the nodes written inside, as ``model.layers.0``."""
        self._scopes.append(name)
        yield
        self._scopes.pop()

    def input(self, name: str, dtype: ir.DataType, shape: Sequence[int | str]) -> ir.Value:
        """Add a graph input; a named dimension is dynamic."""
        value = ir.Value(name=name, shape=ir.Shape(shape), type=ir.TensorType(dtype))
        self._graph.inputs.append(value)
        return value

    def output(
        self, name: str, value: ir.Value, dtype: ir.DataType, shape: Sequence[int | str]
    ) -> None:
        """Make a value a graph output, under this name."""
        value.name = name
        value.type = ir.TensorType(dtype)
        value.shape = ir.Shape(shape)
        self._graph.outputs.append(value)

    def alias(self, name: str, stored: str) -> None:
        """Let a weight that the checkpoint does not hold be another one's bytes, under its name."""
        self._stored[name] = stored

    def weight(self, name: str) -> ir.Value:
        """Return a tensor of the checkpoint as an initializer; its bytes stay where they are."""
        if name not in self._graph.initializers:
            entry = self.checkpoint.tensors[self._stored.get(name, name)]
            tensor = FileTensor(
                entry.file.name,
                entry.offset_bytes,
                entry.length_bytes,
                _DTYPES[entry.dtype],
                shape=ir.Shape(entry.shape),
                name=name,
                base_dir=entry.file.parent,
            )
            self._register(name, tensor)
        return self._graph.initializers[name]

    def constant(self, values: NDArray[Any]) -> ir.Value:
        """Return a small constant; equal ones are one initializer."""
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = self._register(name, ir.Tensor(values, name=name))
        return self._constants[key]

    def integers(self, *values: int) -> ir.Value:
        """Return a constant vector of int64: axes, a shape."""
        return self.constant(np.array(values, np.int64))

    def scalar(self, value: float) -> ir.Value:
        """Return a constant float32 scalar."""
        return self.constant(np.array(value, np.float32))

    def op(self, op_type: str, *inputs: ir.Value, **attributes: Attribute) -> ir.Value:
        """Append a node with one output, and return it."""
        return self.ops(op_type, *inputs, n_outputs=1, **attributes)[0]

    def ops(
        self, op_type: str, *inputs: ir.Value, n_outputs: int, **attributes: Attribute
    ) -> Sequence[ir.Value]:
        """Append a node and return its outputs; ``ossc.Name`` is a function of our dialect."""
        domain, _, name = op_type.rpartition(".")
        node_name = "/".join([".".join(self._scopes), f"{name}_{len(self._graph)}"])
        outputs = [
            ir.Value(name=node_name + (f":{index}" if index else "")) for index in range(n_outputs)
        ]
        node = ir.node(name, inputs, attributes, domain=domain, outputs=outputs, name=node_name)
        self._graph.append(node)
        return outputs

    def model(self) -> ir.Model:
        """Return the finished model, with the functions that its nodes need."""
        model = ir.Model(self._graph, ir_version=IR_VERSION, producer_name="ossc")
        attach_functions(model)
        return model

    def _register(self, name: str, tensor: ir.TensorProtocol) -> ir.Value:
        value = ir.Value(
            name=name,
            shape=ir.Shape(tensor.shape.numpy()),
            type=ir.TensorType(tensor.dtype),
            const_value=tensor,
        )
        self._graph.register_initializer(value)
        return value
