"""The weights and activations of a node as kernels take them."""

import onnx_ir as ir

from ossc.compiler.dialect.bodies.glu import activation_of
from ossc.compiler.dialect.call import Call
from ossc.compiler.lowering.glu import Glu
from ossc.compiler.lowering.segment import Expr, SegmentBuilder, initializer
from ossc.compiler.quantization.mixed_experts import MixedExperts
from ossc.compiler.quantization.scheme import QuantizationScheme, WeightType
from ossc.targets.errors import LoweringError


def scheme_of(call: Call) -> QuantizationScheme:
    """Return the scheme of a node's weight.

    Raises:
        LoweringError: It is in a form of storage for which there are no kernels.
    """
    if not isinstance(call.format, QuantizationScheme):
        raise _no_kernels(call, call.format)
    return call.format


def experts_type_of(call: Call) -> WeightType:
    """Return the scheme of a node's experts, or those that they are in.

    Raises:
        LoweringError: Some are in a form of storage for which there are no kernels.
    """
    if not isinstance(call.format, MixedExperts):
        return scheme_of(call)
    for each in call.format.formats:
        if not isinstance(each, QuantizationScheme):
            raise _no_kernels(call, each)
    return call.format


def _no_kernels(call: Call, weight: WeightType | None) -> LoweringError:
    name = weight.name if weight else "no format"
    return LoweringError(
        f"The weight of {call.name!r} is stored as {name}, for which there are no kernels; "
        "choose a scheme for it with --quant."
    )


def weight_tensors(call: Call) -> list[ir.TensorProtocol]:
    """Return the parts of a node's weight.

    Raises:
        LoweringError: One is computed at run time.
    """
    return [initializer(part) for part in call.parts]


def bias_operands(segment: SegmentBuilder, call: Call) -> list[Expr]:
    """Return the bias of a product as float32, if it has one."""
    bias = call.optional("bias")
    return [segment.float_parameter(bias)] if bias is not None else []


def glu_of(call: Call) -> Glu:
    """Return the activation of a gated product."""
    attributes = {
        name: call.number(name) for name in ("alpha", "limit") if name in call.node.attributes
    }
    return Glu(kind=activation_of(call.options), **attributes)  # type: ignore[arg-type]
