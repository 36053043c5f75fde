"""The first product of a gated feed-forward layer, with its activation."""

from ossc.compiler.dialect.bodies.glu import ACTIVATIONS, glu_body, split_body
from ossc.compiler.dialect.bodies.product import product_body
from ossc.compiler.dialect.operation import Operation, Options, WeightInput


def _body(options: Options) -> str:
    return product_body(options, "matrix", "gate_up") + split_body("gate_up") + glu_body(options)


OPERATION = Operation(
    name="LinearGlu",
    summary="Linear, then the Glu of its even rows (gates) and odd rows (ups)",
    inputs=(("x", "f32 [T, K]"), ("weight", "[2I, K]")),
    optional=(("bias", "float [2I]"),),
    outputs=(("y", "f32 [T, I]"),),
    attributes=("alpha", "limit"),
    variants=ACTIVATIONS,
    weight=WeightInput(index=1, tensor_class="dense"),
    body=_body,
)
