"""Standard ONNX operators that are left after fusion: a table of Relax expressions.

They surround the fused nodes (positions to angles, reshapes), so they are few, and a missing one
is refused by name. Relax legalizes and fuses them.
"""

from collections.abc import Callable

import onnx_ir as ir
from tvm import relax

from ossc.compiler.lowering.segment import Expr, SegmentBuilder, initializer
from ossc.compiler.lowering.weights import raw_weight
from ossc.targets.errors import LoweringError

_RELAX_DTYPE = {
    ir.DataType.FLOAT: "float32",
    ir.DataType.INT32: "int32",
    ir.DataType.INT64: "int64",
    ir.DataType.UINT8: "uint8",
    ir.DataType.INT8: "int8",
}
"""Element types that generated code handles on every CPU."""


def lower(segment: SegmentBuilder, node: ir.Node) -> None:
    """Translate one standard node.

    Raises:
        LoweringError: The operator is not in the table.
    """
    translate = _TABLE.get(node.op_type)
    if translate is None:
        raise LoweringError(
            f"The ONNX operator {node.op_type} of node {node.name!r} has no lowering; "
            f"these do: {', '.join(sorted(_TABLE))}."
        )
    segment.values[node.outputs[0]] = segment.emit(translate(segment, node), node.name or "")


def operand(segment: SegmentBuilder, value: ir.Value | None) -> Expr:
    """Return the Relax value of a node's input; an initializer becomes a parameter.

    Raises:
        LoweringError: The input is absent, or an initializer of a type that is not supported.
    """
    if value in segment.values:
        return segment.values[value]
    tensor = initializer(value)
    if tensor.dtype not in _RELAX_DTYPE:
        raise LoweringError(
            f"The initializer {tensor.name!r} is {tensor.dtype}; generated code handles "
            f"{', '.join(sorted(_RELAX_DTYPE.values()))}."
        )
    shape = tensor.shape.numpy()
    dtype = _RELAX_DTYPE[tensor.dtype]
    if not shape:
        return relax.const(tensor.numpy(), dtype)
    return segment.weight(raw_weight(tensor, f"{tensor.name}"), shape, dtype)


def integers(value: ir.Value | None) -> list[int]:
    """Return the integers of a constant input, such as a shape."""
    return [int(item) for item in initializer(value).numpy().reshape(-1)]


def _unary(function: Callable[[Expr], Expr]) -> Callable[[SegmentBuilder, ir.Node], Expr]:
    return lambda segment, node: function(operand(segment, node.inputs[0]))


def _binary(function: Callable[[Expr, Expr], Expr]) -> Callable[[SegmentBuilder, ir.Node], Expr]:
    return lambda segment, node: function(*(operand(segment, value) for value in node.inputs))


def _cast(segment: SegmentBuilder, node: ir.Node) -> Expr:
    dtype = ir.DataType(node.attributes["to"].as_int())
    source = node.inputs[0]
    if dtype == ir.DataType.FLOAT and source is not None and source.is_initializer():
        return segment.float_parameter(source)
    if dtype not in _RELAX_DTYPE:
        raise LoweringError(f"Node {node.name!r} casts to {dtype}, which has no lowering.")
    return relax.op.astype(operand(segment, node.inputs[0]), _RELAX_DTYPE[dtype])


def _reshape(segment: SegmentBuilder, node: ir.Node) -> Expr:
    value = operand(segment, node.inputs[0])
    shape = integers(node.inputs[1])
    dims = [value.ty.shape[i] if dim == 0 else dim for i, dim in enumerate(shape)]
    return relax.op.reshape(value, dims)


def _unsqueeze(segment: SegmentBuilder, node: ir.Node) -> Expr:
    return relax.op.expand_dims(operand(segment, node.inputs[0]), integers(node.inputs[1]))


_TABLE: dict[str, Callable[[SegmentBuilder, ir.Node], Expr]] = {
    "Add": _binary(relax.op.add),
    "Cast": _cast,
    "Cos": _unary(relax.op.cos),
    "Div": _binary(relax.op.divide),
    "Floor": _unary(relax.op.floor),
    "Identity": _unary(lambda value: value),
    "Log": _unary(relax.op.log),
    "Mul": _binary(relax.op.multiply),
    "Reshape": _reshape,
    "Sin": _unary(relax.op.sin),
    "Unsqueeze": _unsqueeze,
}
