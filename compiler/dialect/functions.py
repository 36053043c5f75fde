"""The dialect's operations as ONNX functions."""

import re
from collections.abc import Sequence

import onnx
import onnx_ir as ir

from ossc.compiler.dialect import DOMAIN, DOMAIN_VERSION, all_operations
from ossc.compiler.dialect.call import Call, as_call
from ossc.compiler.quantization.mixed_experts import MixedExperts
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
    rows = call.operation.weight.gathered_by
    if isinstance(call.format, MixedExperts):
        assert rows is not None, "only experts have several formats"
        return _choose_matrices(call.format, rows)
    assert isinstance(call.format, WeightFormat)
    parts = [part.name for part in call.format.parts]
    if rows is None:
        return _dequantize(call.format, parts, "matrix")
    return _dequantize_rows(call.format, parts, rows, "matrix")


def _dequantize(weight: WeightFormat, parts: Sequence[str], result: str) -> str:
    return f"{result} = {DOMAIN}.{dequantize_name(weight)} ({', '.join(parts)})\n"


def _dequantize_rows(weight: WeightFormat, parts: Sequence[str], rows: str, result: str) -> str:
    """Return nodes that dequantize the chosen rows of parts along axis 0."""
    chosen = [f"chosen_{part}" for part in parts]
    gathers = "\n".join(
        f"{each} = Gather <axis = 0> ({part}, {rows})"
        for each, part in zip(chosen, parts, strict=True)
    )
    return f"{gathers}\n {_dequantize(weight, chosen, result)}"


def _choose_matrices(weight: MixedExperts, indices: str) -> str:
    """Return nodes that dequantize chosen experts in every format and keep each one's own.

    For an expert of another format row 0 is dequantized, and not kept.
    """
    names = [part.name for part in weight.parts]
    parts_of, table = weight.split(names)
    body = f"""
        entries = Gather <axis = 0> ({table}, {indices})
        place_axis = Constant <value_ints = [-1]> ()
        halves = Constant <value_ints = [1, 1]> ()
        number_column, row_column = Split <axis = -1> (entries, halves)
        format_number = Squeeze (number_column, place_axis)
        format_row = Squeeze (row_column, place_axis)
        row_0 = Constant <value = int32 {{0}}> ()
        matrix_axes = Constant <value_ints = [-2, -1]> ()
    """
    kept = ""
    for number, (each, parts) in enumerate(zip(weight.formats, parts_of, strict=True)):
        last = number == len(weight.formats) - 1
        body += f"""
            number_{number} = Constant <value = int32 {{{number}}}> ()
            is_{number} = Equal (format_number, number_{number})
            row_of_{number} = Where (is_{number}, format_row, row_0)
            {_dequantize_rows(each, parts, f"row_of_{number}", f"matrix_{number}")}
        """
        if kept:
            body += f"""
                keeps_{number} = Unsqueeze (is_{number}, matrix_axes)
                {"matrix" if last else f"kept_{number}"} =
                    Where (keeps_{number}, matrix_{number}, {kept})
            """
        kept = f"kept_{number}" if kept else f"matrix_{number}"
    return body


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
        for weight in _formats(call):
            name = (DOMAIN, dequantize_name(weight), "")
            functions[name] = known.get(name) or build_dequantize(weight)
    model.functions.clear()
    for identifier in sorted(functions):
        model.functions[identifier] = functions[identifier]
    if functions:
        model.graph.opset_imports[DOMAIN] = DOMAIN_VERSION


def _formats(call: Call) -> tuple[WeightFormat, ...]:
    """Return the formats of a node's weight, if it has one."""
    if isinstance(call.format, MixedExperts):
        return call.format.formats
    return (call.format,) if isinstance(call.format, WeightFormat) else ()
