"""The dialect's operations as ONNX functions."""

import re

import onnx
import onnx_ir as ir

from ossc.compiler.dialect import DOMAIN, DOMAIN_VERSION, all_operations
from ossc.compiler.dialect.call import Call, as_call
from ossc.compiler.quantization.scheme import WeightFormat

OPSET_VERSION = 24
"""Of the standard operators; the first with Swish."""

Identifier = tuple[str, str, str]
"""Domain, op type and overload."""


def build_function(call: Call) -> ir.Function:
    """Return the function that a node calls."""
    operation = call.operation
    inputs: list[str] = []
    for name in operation.inputs_of(call.options):
        is_weight = name == operation.weight_name
        inputs += [part.name for part in call.format.parts] if call.format and is_weight else [name]
    body = _make_matrix(call) + operation.body_of(call.options)
    # An operator whose attribute refers to one that the node lacks would be computed without it.
    used = set(re.findall(r"@(\w+)", body)) | ({"tensor_class"} & set(operation.attributes))
    declared = ", ".join(name for name in operation.attributes if name in used)
    proto = _parse(
        f"{operation.name} {f'<{declared}>' if declared else ''} "
        f"({', '.join(inputs)}) => ({', '.join(name for name, _ in operation.outputs)}) {{{body}}}"
    )
    proto.doc_string = operation.summary
    proto.overload = call.node.overload
    return ir.serde.deserialize_function(proto)


def dequantize_name(weight: WeightFormat) -> str:
    """Return the function that makes float32 of a format's parts: ``DequantizeInt8G32``.

    It has no overload: onnxruntime 1.32 finds none inside the body of a function.
    """
    return "Dequantize" + "".join(word.capitalize() for word in weight.name.split("-"))


def build_dequantize(weight: WeightFormat) -> ir.Function:
    """Return the function that makes float32 ``[..., N, K]`` of a format's parts."""
    parts = ", ".join(part.name for part in weight.parts)
    body = f"{weight.dequantize_body}\n y = Identity (dequantized)"
    proto = _parse(f"{dequantize_name(weight)} ({parts}) => (y) {{{body}}}")
    proto.doc_string = f"a weight of {weight.name} in float32"
    return ir.serde.deserialize_function(proto)


def _parse(text: str) -> onnx.FunctionProto:
    """Read a function; its nodes get names, because inlining thousands without any takes long."""
    imports = f'"": {OPSET_VERSION}, "{DOMAIN}": {DOMAIN_VERSION}'
    proto = onnx.parser.parse_function(f'<domain: "{DOMAIN}", opset_import: [{imports}]> {text}')
    for index, node in enumerate(proto.node):
        node.name = f"{proto.name}_{index}"
    return proto


def _make_matrix(call: Call) -> str:
    """Return nodes that make ``matrix``, of the chosen rows only where rows are chosen."""
    if call.format is None or call.operation.weight is None:
        return ""
    parts = [part.name for part in call.format.parts]
    rows = call.operation.weight.gathered_by
    function = f"{DOMAIN}.{dequantize_name(call.format)}"
    if rows is None:
        return f"matrix = {function} ({', '.join(parts)})\n"
    gathers = "\n".join(f"chosen_{part} = Gather <axis = 0> ({part}, {rows})" for part in parts)
    chosen = ", ".join(f"chosen_{part}" for part in parts)
    return f"{gathers}\n matrix = {function} ({chosen})\n"


def attach_functions(model: ir.Model) -> None:
    """Give the model exactly the functions that its graph uses, and those that these use."""
    known = dict(model.functions)
    functions: dict[Identifier, ir.Function] = {}
    for node in model.graph:
        identifier = node.op_identifier()
        if node.domain != DOMAIN or identifier in functions:
            continue
        if node.op_type not in all_operations():  # a pass wrote its function itself
            functions[identifier] = known[identifier]
            continue
        call = as_call(node)
        assert call is not None
        functions[identifier] = known.get(identifier) or build_function(call)
        if call.format is not None:
            name = (DOMAIN, dequantize_name(call.format), "")
            functions[name] = known.get(name) or build_dequantize(call.format)
    model.functions.clear()
    for identifier in sorted(functions):
        model.functions[identifier] = functions[identifier]
    if functions:
        model.graph.opset_imports[DOMAIN] = DOMAIN_VERSION
