"""Writes an ONNX graph whose weights stay in the checkpoint's files."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from ossc.compiler.dialect.call import Attribute, OutputType, Weight, dialect_node
from ossc.compiler.dialect.functions import OPSET_VERSION, attach_functions
from ossc.compiler.storage.format import StoredWeight

IR_VERSION = 12
"""Of the file format; what onnxruntime 1.32 reads."""


class GraphBuilder:
    """Appends nodes in order; names of standard nodes carry the scope they were written in."""

    def __init__(self, name: str, weights: Mapping[str, StoredWeight]) -> None:
        """Start an empty graph.

        Args:
            name: Of the graph.
            weights: All that it may use, by name.
        """
        self.weights = weights
        self._graph = ir.Graph((), (), nodes=(), opset_imports={"": OPSET_VERSION}, name=name)
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

    def weight(self, name: str) -> Weight:
        """Return a weight's format and, as initializers, its parts; no byte of it is read."""
        stored = self.weights[name]
        return stored.format, tuple(map(self._initializer, stored.parts))

    def floats(self, name: str) -> ir.Value:
        """Return a weight that is one tensor of floats: a bias, a norm's weight."""
        _, (value,) = self.weight(name)
        return value

    def optional_floats(self, name: str) -> ir.Value | None:
        """Return such a weight, or None where the model has none of this name."""
        return self.floats(name) if name in self.weights else None

    def constant(self, values: NDArray[Any]) -> ir.Value:
        """Return a small constant; equal ones are one initializer."""
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = self._initializer(ir.Tensor(values, name=name))
        return self._constants[key]

    def integers(self, *values: int) -> ir.Value:
        """Return a constant vector of int64: axes, a shape."""
        return self.constant(np.array(values, np.int64))

    def scalar(self, value: float) -> ir.Value:
        """Return a constant float32 scalar."""
        return self.constant(np.array(value, np.float32))

    def op(self, op_type: str, *inputs: ir.Value, **attributes: Attribute) -> ir.Value:
        """Append a standard node with one output, and return it."""
        name = "/".join([".".join(self._scopes), f"{op_type}_{len(self._graph)}"])
        output = ir.Value(name=name)
        self._graph.append(ir.node(op_type, inputs, attributes, outputs=[output], name=name))
        return output

    def call(
        self,
        operation: str,
        inputs: Mapping[str, ir.Value | None],
        *,
        called: str,
        outputs: Sequence[OutputType],
        weight: Weight | None = None,
        variants: Sequence[str] = (),
        attributes: Mapping[str, Attribute] | None = None,
    ) -> Sequence[ir.Value]:
        """Append a node of the dialect and return its outputs; see :func:`dialect_node`.

        Args:
            operation: Its name.
            inputs: By name, without the weight; one that is None is left out.
            called: The module of the checkpoint that it computes.
            outputs: Dtype and shape of each.
            weight: Where the operation has one of a format.
            variants: Of the operation.
            attributes: Of the operation.
        """
        node = dialect_node(
            operation,
            inputs,
            called=called,
            outputs=outputs,
            weight=weight,
            variants=variants,
            attributes=attributes,
        )
        self._graph.append(node)
        return node.outputs

    def model(self) -> ir.Model:
        """Return the finished model, with the functions that its nodes need."""
        model = ir.Model(self._graph, ir_version=IR_VERSION, producer_name="ossc")
        attach_functions(model)
        return model

    def _initializer(self, tensor: ir.TensorProtocol) -> ir.Value:
        name = tensor.name or ""
        if name not in self._graph.initializers:
            value = ir.Value(
                name=name,
                shape=ir.Shape(tensor.shape.numpy()),
                type=ir.TensorType(tensor.dtype),
                const_value=tensor,
            )
            self._graph.register_initializer(value)
        return self._graph.initializers[name]
