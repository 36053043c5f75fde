"""What a pass is, and what all of them share."""

import abc
from collections.abc import Sequence

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult
from onnx_ir.passes.common import RemoveUnusedNodesPass

from ossc.compiler.dialect.functions import attach_functions
from ossc.compiler.quantization import f32, is_float
from ossc.compiler.quantization.scheme import WeightType

__all__ = [
    "FLOAT",
    "NodePass",
    "Pass",
    "PassResult",
    "joint_format",
    "module_of",
    "register_initializer",
    "replace_node",
    "replace_value",
]

FLOAT = ir.DataType.FLOAT


class Pass(InPlacePass):
    """Changes a model in place; ``pass_(model)`` returns ``PassResult(model, modified)``."""

    def call(self, model: ir.Model) -> PassResult:
        """Rewrite the graph; then drop what is no longer used and add the functions that are."""
        modified = self.rewrite(model)
        if modified:
            RemoveUnusedNodesPass()(model)
            model.graph.sort()
            attach_functions(model)
        return PassResult(model, modified)

    @abc.abstractmethod
    def rewrite(self, model: ir.Model) -> bool:
        """Change the graph, and tell whether it is another one now."""


class NodePass(Pass):
    """Looks at one node after the other."""

    def rewrite(self, model: ir.Model) -> bool:
        """Visit the nodes that are still there when it is their turn."""
        return (
            sum(self.visit(model.graph, n) for n in tuple(model.graph) if n.graph is not None) > 0
        )

    @abc.abstractmethod
    def visit(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Change the graph where this node is; tell whether it did."""


def module_of(name: str | None) -> str:
    """Return the module that a tensor or a module belongs to: the name without its last part."""
    return (name or "").rpartition(".")[0]


def joint_format(formats: Sequence[WeightType]) -> WeightType | None:
    """Return the format of matrices put together; None where they have to stay apart.

    Those of different float types become float32, which holds them exactly.
    """
    if len({each.name for each in formats}) == 1:
        return formats[0]
    return f32.SCHEME if all(map(is_float, formats)) else None


def register_initializer(graph: ir.Graph, tensor: ir.TensorProtocol) -> ir.Value:
    """Add an initializer to a graph, under the tensor's name."""
    value = ir.Value(
        name=tensor.name,
        type=ir.TensorType(tensor.dtype),
        shape=ir.Shape(tensor.shape.numpy()),
        const_value=tensor,
    )
    graph.register_initializer(value)
    return value


def replace_node(graph: ir.Graph, old: ir.Node, new: ir.Node) -> None:
    """Let a node of as many outputs take the place of one; graph outputs keep their names.

    What computed the old one's inputs stays, for others that read them or to be dropped.
    """
    graph.insert_after(old, new)
    for before, after in zip(old.outputs, new.outputs, strict=True):
        replace_value(before, after)
    graph.remove(old, safe=True)


def replace_value(before: ir.Value, after: ir.Value) -> None:
    """Let everything that reads a value read another one; a graph output keeps its name."""
    if before.is_graph_output():
        after.name, before.name = before.name, after.name
    ir.convenience.replace_all_uses_with(before, after, replace_graph_outputs=True)
