"""What a pass is, and what all of them share."""

import abc
from collections.abc import Collection, Mapping, Sequence
from typing import ClassVar

import onnx_ir as ir
from onnx_ir.passes import InPlacePass, PassResult
from onnx_ir.passes.common import RemoveUnusedNodesPass

from ossc.compiler.dialect import DOMAIN
from ossc.compiler.dialect.functions import attach_functions
from ossc.compiler.passes.pattern import Match, Pattern
from ossc.compiler.quantization import find_float_scheme
from ossc.compiler.quantization.scheme import QuantizationScheme

__all__ = [
    "FLOAT",
    "Pass",
    "PassResult",
    "PatternPass",
    "float_scheme_of",
    "fused_node",
    "module_of",
    "register_initializer",
]

FLOAT = ir.DataType.FLOAT

Attribute = int | float | ir.Attr

Dims = Sequence[int | str | ir.SymbolicDim]


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


class PatternPass(Pass):
    """Replaces every subgraph that a pattern describes by one node."""

    patterns: ClassVar[Sequence[Pattern]]
    """Looked for one after the other, each in the whole graph."""

    def rewrite(self, model: ir.Model) -> bool:
        """Replace all matches."""
        modified = False
        names = {node.name for node in model.graph}
        for pattern in self.patterns:
            for node in tuple(model.graph):
                if node.graph is None:  # went with an earlier match
                    continue
                match = pattern.match(node)
                replacement = match and self.replace(match)
                if match and replacement:
                    names -= {each.name for each in match.nodes}
                    _make_unique(replacement, names)
                    names.add(replacement.name)
                    _splice(model.graph, pattern, match, replacement)
                    modified = True
        return modified

    @abc.abstractmethod
    def replace(self, match: Match) -> ir.Node | None:
        """Return a node whose outputs are the pattern's, or None to leave the subgraph."""


def fused_node(
    op_type: str,
    inputs: Sequence[ir.Value],
    name: str,
    *,
    attributes: Mapping[str, Attribute] | None = None,
    outputs: Sequence[tuple[ir.DataType, Dims]],
) -> ir.Node:
    """Make a node of the dialect.

    Args:
        op_type: In the domain ``ossc``.
        inputs: Values of the graph.
        name: The module in the checkpoint that it computes, such as
            ``model.layers.0.self_attn.o_proj``.
        attributes: By name; one of another node is copied.
        outputs: Dtype and shape of each.
    """
    given = {
        key: value.value if isinstance(value, ir.Attr) else value
        for key, value in (attributes or {}).items()
    }
    values = [
        ir.Value(
            name=f"{name}:{index}" if index else name,
            type=ir.TensorType(dtype),
            shape=ir.Shape(shape),
        )
        for index, (dtype, shape) in enumerate(outputs)
    ]
    return ir.node(op_type, inputs, given, domain=DOMAIN, outputs=values, name=name)


def module_of(name: str | None) -> str:
    """Return the module that a tensor or a module belongs to: the name without its last part."""
    return (name or "").rpartition(".")[0]


def float_scheme_of(value: ir.Value, rank: int) -> QuantizationScheme | None:
    """Return the scheme of an initializer of floats with so many axes; None: it is none."""
    tensor = value.const_value
    if not value.is_initializer() or tensor is None or len(tensor.shape.numpy()) != rank:
        return None
    return find_float_scheme(tensor.dtype.numpy())


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


def _make_unique(node: ir.Node, names: Collection[str | None]) -> None:
    """Rename a node and its outputs where another node has its name, as one of the same weight."""
    given, count = node.name, 2
    while node.name in names:
        node.name = f"{given}_{count}"
        count += 1
    if node.name != given:
        for index, value in enumerate(node.outputs):
            value.name = f"{node.name}:{index}"


def _splice(graph: ir.Graph, pattern: Pattern, match: Match, replacement: ir.Node) -> None:
    """Let the readers of a match read the replacement, and remove what no one reads any more."""
    graph.insert_after(match.nodes[0], replacement)
    for name, new in zip(pattern.outputs, replacement.outputs, strict=True):
        old = match.values[name]
        if old.is_graph_output():  # its name is part of the interface
            new.name, old.name = old.name, new.name
        ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)
    for node in match.nodes:
        if not any(value.uses() for value in node.outputs):
            graph.remove(node, safe=True)
