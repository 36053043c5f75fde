"""The ONNX dialect: fused operations as model-local functions of the domain ``ossc``.

An operation with a weight exists once for each quantization scheme: ``Linear`` of ``int8-g32`` is
the op type ``Int8G32Linear``, whose weight input is replaced by the scheme's parts. The functions'
bodies are standard operators, so onnxruntime runs what our importer reads node by node.
docs/onnx-dialect.md lists them all.
"""

from functools import cache

import onnx_ir as ir

from ossc.compiler.dialect import (
    add_rms_norm,
    dequantize,
    embedding,
    experts,
    linear,
    router,
    sink_attention,
)
from ossc.compiler.dialect.operation import Operation
from ossc.compiler.quantization import all_schemes, find_scheme
from ossc.compiler.quantization.scheme import QuantizationScheme
from ossc.targets.errors import UnknownNameError

DOMAIN = "ossc"

DOMAIN_VERSION = 1

OPERATIONS: tuple[Operation, ...] = (
    embedding.OPERATION,
    linear.LINEAR,
    linear.MAT_MUL,
    add_rms_norm.OPERATION,
    sink_attention.OPERATION,
    router.OPERATION,
    experts.EXPERT_SWIGLU,
    experts.EXPERT_LINEAR,
    experts.COMBINE_EXPERTS,
    dequantize.OPERATION,
)


def op_type(operation: str, scheme: QuantizationScheme) -> str:
    """Return the op type of an operation on weights of a scheme, such as ``Int8G32Linear``."""
    return f"{scheme.prefix}{operation}"


@cache
def _operations_by_op_type() -> dict[str, tuple[str, str | None]]:
    known: dict[str, tuple[str, str | None]] = {}
    for operation in OPERATIONS:
        if operation.weight is None:
            known[operation.name] = (operation.name, None)
            continue
        for scheme in all_schemes():
            known[op_type(operation.name, scheme)] = (operation.name, scheme.name)
    return known


def parse_operation(op_type: str) -> tuple[str, str | None]:
    """Split an op type into the operation's name and the scheme's, which is None without a weight.

    ``"Int8G32Linear"`` gives ``("Linear", "int8-g32")``.

    Raises:
        UnknownNameError: It is not in the dialect.
    """
    known = _operations_by_op_type()
    if op_type not in known:
        raise UnknownNameError("operation in the ONNX dialect", op_type, known)
    return known[op_type]


def find_operation(name: str) -> Operation:
    """Return an operation by its name, such as ``"Linear"``."""
    return next(operation for operation in OPERATIONS if operation.name == name)


def weight_inputs(node: ir.Node) -> tuple[ir.Value, ...]:
    """Return the inputs of a node that hold a weight that a plan can quantize, if it has one."""
    if node.domain != DOMAIN:
        return ()
    name, scheme_name = parse_operation(node.op_type)
    weight = find_operation(name).weight
    if weight is None or weight.tensor_class is None or scheme_name is None:
        return ()
    n_parts = len(find_scheme(scheme_name).parts)
    parts = node.inputs[weight.index : weight.index + n_parts]
    return tuple(part for part in parts if part is not None)


def weight_schemes(model: ir.Model) -> dict[str, str]:
    """Return the scheme of every weight that a plan can quantize, by the name of its node."""
    schemes = {}
    for node in model.graph:
        if weight_inputs(node):
            schemes[node.name or ""] = parse_operation(node.op_type)[1] or ""
    return schemes
