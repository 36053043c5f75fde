"""Finds subgraphs that are written as the body of an ONNX function.

A pattern's inputs stand for any values, and its outputs are what a replacement has to produce; an
attribute ``name: type = @name`` stands for any value of it. All else has to be there exactly:
operators, literal attributes, constants. Add and Mul match with their operands in either order.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx_ir as ir

from ossc.compiler.dialect import DOMAIN, DOMAIN_VERSION
from ossc.compiler.dialect.functions import OPSET_VERSION

_COMMUTATIVE = {"Add", "Mul"}

_LARGEST_CONSTANT = 16
"""Elements of the largest constant that is compared with one of a pattern."""


@dataclass(frozen=True, kw_only=True)
class Match:
    """A subgraph that a pattern describes."""

    values: Mapping[str, ir.Value]
    """By their names in the pattern."""
    attributes: Mapping[str, ir.Attr]
    """Those that stand for any value, by the names that the pattern gives them."""
    nodes: tuple[ir.Node, ...]
    """From the last to the first."""

    def constant(self, name: str) -> list[int] | None:
        """Return the integers of a value, or None where it is not a constant."""
        tensor = ir.convenience.get_const_tensor(self.values[name])
        return None if tensor is None else tensor.numpy().reshape(-1).tolist()

    def scalar(self, name: str) -> float | None:
        """Return the number that a value holds, or None where it is not a constant."""
        tensor = ir.convenience.get_const_tensor(self.values[name])
        return None if tensor is None or tensor.size != 1 else float(tensor.numpy().item())


class Pattern:
    """A subgraph to look for, from its last node on."""

    def __init__(self, text: str, *, shared: Collection[str] = ()) -> None:
        """Parse a pattern.

        Args:
            text: ``(inputs) => (outputs) { nodes }`` in ONNX's textual syntax; before it, names of
                attributes that stand for any value, as ``<epsilon>``.
            shared: Inner values that other nodes may read too; a replacement leaves them there.
        """
        proto: onnx.FunctionProto = onnx.parser.parse_function(
            f'<domain: "{DOMAIN}", opset_import: ["": {OPSET_VERSION}, '
            f'"{DOMAIN}": {DOMAIN_VERSION}]> Pattern {text}'
        )
        self._function = ir.serde.deserialize_function(proto)
        self._last = self._function[-1]
        self._visible = {value.name for value in self._function.outputs} | set(shared)
        self.outputs = tuple(value.name or "" for value in self._function.outputs)

    def match(self, node: ir.Node) -> Match | None:
        """Return the subgraph that ends in this node, if it is one."""
        matching = _Matching()
        if not matching.node(self._last, node) or self._has_other_readers(matching):
            return None
        return Match(
            values={value.name or "": bound for value, bound in matching.values.items()},
            attributes=matching.attributes,
            nodes=tuple(matching.nodes.values()),
        )

    def _has_other_readers(self, matching: "_Matching") -> bool:
        """Tell whether a value that would vanish is used outside the subgraph."""
        matched = set(matching.nodes.values())
        hidden = (
            bound
            for value, bound in matching.values.items()
            if value.producer() in matching.nodes and value.name not in self._visible
        )
        return any(
            value.is_graph_output() or not matched.issuperset(value.consumers()) for value in hidden
        )


class _Matching:
    """What was found so far, from the names of a pattern to a graph."""

    def __init__(self) -> None:
        self.values: dict[ir.Value, ir.Value] = {}
        self.nodes: dict[ir.Node, ir.Node] = {}
        self.attributes: dict[str, ir.Attr] = {}

    def node(self, pattern: ir.Node, node: ir.Node) -> bool:
        if pattern in self.nodes:
            return self.nodes[pattern] is node
        if pattern.op_identifier() != node.op_identifier():
            return False
        if len(pattern.outputs) != len(node.outputs) or not self._same_attributes(pattern, node):
            return False
        self.nodes[pattern] = node
        self.values.update(zip(pattern.outputs, node.outputs, strict=True))
        return any(self._inputs(pattern, inputs) for inputs in _orders(node))

    def _inputs(self, pattern: ir.Node, inputs: tuple[ir.Value | None, ...]) -> bool:
        if len(pattern.inputs) != len(inputs):
            return False
        before = dict(self.values), dict(self.nodes), dict(self.attributes)
        if all(map(self._value, pattern.inputs, inputs)):
            return True
        self.values, self.nodes, self.attributes = before
        return False

    def _value(self, pattern: ir.Value | None, value: ir.Value | None) -> bool:
        if pattern is None or value is None:
            return pattern is value
        if pattern in self.values:
            return self.values[pattern] is value
        producer = pattern.producer()
        if producer is None:
            self.values[pattern] = value
            return True
        if producer.op_type == "Constant":
            return _equal_constants(pattern, value)
        node = value.producer()
        return node is not None and value.index() == pattern.index() and self.node(producer, node)

    def _same_attributes(self, pattern: ir.Node, node: ir.Node) -> bool:
        if pattern.attributes.keys() != node.attributes.keys():
            return False
        for name, wanted in pattern.attributes.items():
            if wanted.is_ref():
                self.attributes[wanted.ref_attr_name or ""] = node.attributes[name]
            elif wanted != node.attributes[name]:
                return False
        return True


def _orders(node: ir.Node) -> Iterator[tuple[ir.Value | None, ...]]:
    yield tuple(node.inputs)
    if node.op_type in _COMMUTATIVE and not node.domain:
        yield tuple(reversed(node.inputs))


def _equal_constants(pattern: ir.Value, value: ir.Value) -> bool:
    wanted, given = (ir.convenience.get_const_tensor(each) for each in (pattern, value))
    assert wanted is not None
    if given is None or wanted.dtype != given.dtype or given.size > _LARGEST_CONSTANT:
        return False
    return np.array_equal(wanted.numpy(), given.numpy())
