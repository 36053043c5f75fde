"""A node of the dialect, read and written with its inputs by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import onnx_ir as ir

from ossc.compiler.dialect import DOMAIN, find_operation
from ossc.compiler.dialect.operation import Operation, Options
from ossc.compiler.quantization.rules import TensorClass
from ossc.compiler.quantization.scheme import WeightType
from ossc.compiler.storage import find_weight_type
from ossc.targets.errors import LoweringError

FLOAT = ir.DataType.FLOAT

Attribute = int | float | str | Sequence[int] | ir.Attr

Weight = tuple[WeightType, Sequence[ir.Value]]
"""What a weight is held in, and its parts."""

Dims = Sequence[int | str | ir.SymbolicDim]

OutputType = tuple[ir.DataType, Dims]


@dataclass(frozen=True)
class Call:
    """A node of the dialect; see :func:`as_call`."""

    node: ir.Node
    operation: Operation
    format: WeightType | None
    """Of its weight."""
    options: Options

    @property
    def name(self) -> str:
        """The node's."""
        return self.node.name or ""

    @cached_property
    def _by_name(self) -> dict[str, tuple[ir.Value, ...]]:
        values = [value for value in self.node.inputs if value is not None]
        named: dict[str, tuple[ir.Value, ...]] = {}
        at = 0
        for name in self.operation.inputs_of(self.options):
            is_weight = name == self.operation.weight_name
            count = len(self.format.parts) if is_weight and self.format is not None else 1
            named[name] = tuple(values[at : at + count])
            at += count
        if at != len(values):
            raise LoweringError(
                f"The node {self.name!r}, {self.node.op_type} of {self.node.overload!r}, has "
                f"{len(values)} inputs, but takes {at}."
            )
        return named

    @property
    def inputs(self) -> dict[str, ir.Value]:
        """The inputs besides the weight, by name."""
        weight = self.operation.weight_name
        return {name: values[0] for name, values in self._by_name.items() if name != weight}

    def input(self, name: str) -> ir.Value:
        """Return an input that the node has."""
        return self._by_name[name][0]

    def optional(self, name: str) -> ir.Value | None:
        """Return an input that the node may lack."""
        return self.input(name) if name in self.options else None

    @property
    def parts(self) -> tuple[ir.Value, ...]:
        """The parts of the weight; none where the operation has no weight of a format."""
        weight = self.operation.weight_name
        return self._by_name[weight] if weight is not None else ()

    @property
    def tensor_class(self) -> TensorClass | None:
        """What a quantization plan calls the weight, if it has one that a plan can change."""
        weight = self.operation.weight
        if weight is None:
            return None
        given = self.node.attributes.get("tensor_class")
        return weight.tensor_class or (given.as_string() if given else None)  # type: ignore[return-value]

    def integer(self, attribute: str) -> int:
        """Return an attribute that is an integer."""
        return self.node.attributes[attribute].as_int()

    def number(self, attribute: str) -> float:
        """Return an attribute that is a float."""
        return self.node.attributes[attribute].as_float()

    def output_types(self) -> list[OutputType]:
        """Return dtype and shape of each output."""
        return [(value.dtype or FLOAT, tuple(value.shape or ())) for value in self.node.outputs]


def as_call(node: ir.Node | None, *names: str) -> Call | None:
    """Read a node of the dialect.

    Args:
        node: Any node, or none.
        names: If given, the operations that it may be.

    Returns:
        None where it is none of these.

    Raises:
        UnknownNameError: It is of the dialect's domain, but none of its operations.
    """
    if node is None or node.domain != DOMAIN:
        return None
    if names and node.op_type not in names:
        return None
    operation = find_operation(node.op_type)
    tokens = [token for token in node.overload.split(",") if token]
    weight = find_weight_type(tokens.pop(0)) if operation.weight is not None else None
    return Call(node, operation, weight, frozenset(tokens))


def call_of(value: ir.Value | None, *names: str) -> Call | None:
    """Read the node of the dialect that computes a value; None where it is another."""
    return as_call(value.producer() if value is not None else None, *names)


def calls_in(model: ir.Model, *names: str) -> list[Call]:
    """Read all nodes of the dialect in a graph, or those of some operations."""
    return [call for node in model.graph if (call := as_call(node, *names)) is not None]


def overload_of(operation: Operation, weight: WeightType | None, options: Options) -> str:
    """Return the overload of a function: ``"int8-g32,bias"``."""
    known = (*operation.variants, *(name for name, _ in operation.optional))
    assert options.issubset(known), f"{operation.name} has no {sorted(options - set(known))}"
    return ",".join([*([weight.name] if weight else []), *(n for n in known if n in options)])


def dialect_node(
    name: str,
    inputs: Mapping[str, ir.Value | None],
    *,
    called: str,
    outputs: Sequence[OutputType],
    weight: Weight | None = None,
    variants: Sequence[str] = (),
    attributes: Mapping[str, Attribute] | None = None,
) -> ir.Node:
    """Make a node of the dialect.

    Args:
        name: Of the operation.
        inputs: By name, without the weight; one that is None is left out.
        called: The module of the checkpoint that it computes, such as
            ``model.layers.0.self_attn.o_proj``.
        outputs: Dtype and shape of each.
        weight: Format and parts of the weight, where the operation has one.
        variants: Of the operation.
        attributes: By name; one of another node is copied.
    """
    operation = find_operation(name)
    given = {key: value for key, value in inputs.items() if value is not None}
    options = frozenset(variants) | {key for key, _ in operation.optional if key in given}
    values: list[ir.Value] = []
    for key in operation.inputs_of(options):
        if weight is not None and key == operation.weight_name:
            values += weight[1]
        else:
            values.append(given.pop(key))
    assert not given, f"{name} has no inputs {sorted(given)}"
    results = [
        ir.Value(
            name=f"{called}:{index}",
            type=ir.TensorType(dtype),
            shape=ir.Shape(shape),
        )
        for index, (dtype, shape) in enumerate(outputs)
    ]
    return ir.node(
        name,
        values,
        {k: v.value if isinstance(v, ir.Attr) else v for k, v in (attributes or {}).items()},
        domain=DOMAIN,
        overload=overload_of(operation, weight[0] if weight else None, options),
        outputs=results,
        name=called,
    )


def rebuilt(
    call: Call,
    name: str | None = None,
    *,
    inputs: Mapping[str, ir.Value | None] | None = None,
    weight: Weight | None = None,
    variants: Sequence[str] | None = None,
    attributes: Mapping[str, Attribute] | None = None,
    outputs: Sequence[OutputType] | None = None,
    called: str | None = None,
) -> ir.Node:
    """Make a node like another one, with what is given in place of what that has."""
    own = [token for token in call.operation.variants if token in call.options]
    return dialect_node(
        name or call.operation.name,
        call.inputs if inputs is None else inputs,
        called=called or call.name,
        outputs=call.output_types() if outputs is None else outputs,
        weight=weight or ((call.format, call.parts) if call.format else None),
        variants=own if variants is None else variants,
        attributes=dict(call.node.attributes) if attributes is None else attributes,
    )


def tensor_classes(model: ir.Model) -> set[TensorClass]:
    """Return what a quantization plan calls the weights of a model."""
    return {call.tensor_class for call in calls_in(model) if call.tensor_class}
