"""The dialect's operations as ONNX functions."""

import onnx
import onnx_ir as ir

from ossc.compiler.dialect import DOMAIN, DOMAIN_VERSION, find_operation, parse_operation
from ossc.compiler.dialect.operation import Operation
from ossc.compiler.quantization import find_scheme
from ossc.compiler.quantization.scheme import QuantizationScheme

OPSET_VERSION = 24
"""Of the standard operators; the first with Swish."""


def build_function(op_type: str) -> ir.Function:
    """Return an operation of the dialect as a function.

    Raises:
        UnknownNameError: It is not in the dialect.
    """
    name, scheme_name = parse_operation(op_type)
    operation = find_operation(name)
    inputs = [name for name, _ in operation.inputs]
    body = operation.body
    if operation.weight is not None and scheme_name is not None:
        scheme = find_scheme(scheme_name)
        at = operation.weight.index
        inputs[at : at + 1] = [part.name for part in scheme.parts]
        body = _dequantize_weight(operation, scheme) + body
    attributes = f"<{', '.join(operation.attributes)}>" if operation.attributes else ""
    outputs = ", ".join(name for name, _ in operation.outputs)
    proto: onnx.FunctionProto = onnx.parser.parse_function(
        f'<domain: "{DOMAIN}", opset_import: ["": {OPSET_VERSION}, "{DOMAIN}": {DOMAIN_VERSION}]> '
        f"{op_type} {attributes} ({', '.join(inputs)}) => ({outputs}) {{ {body} }}"
    )
    proto.doc_string = operation.summary
    return ir.serde.deserialize_function(proto)


def _dequantize_weight(operation: Operation, scheme: QuantizationScheme) -> str:
    """Return nodes that make ``matrix``, of the chosen rows only where rows are chosen."""
    parts = [part.name for part in scheme.parts]
    if operation.name == "Dequantize":
        return f"{scheme.dequantize_body}\n y = Identity (dequantized)"
    assert operation.weight is not None
    rows = operation.weight.gathered_by
    if rows is None:
        return f"matrix = {DOMAIN}.{scheme.prefix}Dequantize ({', '.join(parts)})\n"
    gathers = "\n".join(f"chosen_{part} = Gather <axis = 0> ({part}, {rows})" for part in parts)
    chosen = ", ".join(f"chosen_{part}" for part in parts)
    return f"{gathers}\n matrix = {DOMAIN}.{scheme.prefix}Dequantize ({chosen})\n"


def attach_functions(model: ir.Model) -> None:
    """Give the model exactly the functions that its graph uses, and those that these use."""
    functions: dict[str, ir.Function] = {}
    waiting = {node.op_type for node in model.graph if node.domain == DOMAIN}
    while waiting:
        op_type = waiting.pop()
        known = model.functions.get((DOMAIN, op_type, ""))
        functions[op_type] = known or build_function(op_type)
        used = {node.op_type for node in functions[op_type] if node.domain == DOMAIN}
        waiting |= used - functions.keys()
    model.functions.clear()
    for op_type in sorted(functions):
        model.functions[functions[op_type].identifier()] = functions[op_type]
    if functions:
        model.graph.opset_imports[DOMAIN] = DOMAIN_VERSION
