"""The matrices of experts that are stored one by one, as one weight."""

import onnx_ir as ir

from ossc.compiler.checkpoint.views import stack_tensors
from ossc.compiler.dialect.call import as_call, rebuilt
from ossc.compiler.passes.base import NodePass, register_initializer, replace_node


class StackExperts(NodePass):
    """Read the experts' matrices from where each is stored, without putting them together.

    1. Every part of the weight of an ``ExpertLinear`` is the reshaped ``Concat`` of initializers:
       one initializer that reads them.
    2. A part is computed in another way: leave it.
    """

    def visit(self, graph: ir.Graph, node: ir.Node) -> bool:
        """Rewrite case 1."""
        call = as_call(node, "ExpertLinear")
        if call is None or call.format is None:
            return False
        pieces = [_pieces(part) for part in call.parts]
        stacks = [
            stack_tensors(f"{call.name}.{part.name}", tensors)
            for part, tensors in zip(call.format.parts, pieces, strict=True)
            if tensors
        ]
        if len(stacks) != len(pieces):  # case 2
            return False
        values = [register_initializer(graph, stack) for stack in stacks]
        replace_node(graph, node, rebuilt(call, weight=(call.format, values)))
        return True


def _pieces(value: ir.Value) -> list[ir.TensorProtocol]:
    """Return the initializers that are put together in a value; none where it is another one."""
    reshape = value.producer()
    rows = reshape.inputs[0] if reshape is not None and reshape.op_type == "Reshape" else None
    concat = rows.producer() if rows is not None else None
    if concat is None or concat.op_type != "Concat":
        return []
    tensors = [each.const_value for each in concat.inputs if each is not None]
    known = [tensor for tensor in tensors if tensor is not None]
    return known if len(known) == len(concat.inputs) else []
