"""The first product of the chosen experts, with its activation."""

from ossc.compiler.dialect.bodies.expert_product import SHARED, expert_product_body
from ossc.compiler.dialect.bodies.glu import ACTIVATIONS, glu_body, split_body
from ossc.compiler.dialect.operation import Operation, Options, WeightInput


def _body(options: Options) -> str:
    product = expert_product_body(options | {SHARED}, "gate_up")
    return product + split_body("gate_up") + glu_body(options)


OPERATION = Operation(
    name="ExpertGlu",
    summary=(
        "weight @ x + bias of each chosen expert, then the Glu of its even rows (gates) and odd "
        "rows (ups)"
    ),
    inputs=(("x", "f32 [T, H]"), ("indices", "i64 [T, k]"), ("weight", "[E, 2I, H]")),
    optional=(("bias", "float [E, 2I]"),),
    outputs=(("y", "f32 [T, k, I]"),),
    attributes=("alpha", "limit"),
    variants=ACTIVATIONS,
    weight=WeightInput(index=2, tensor_class="experts", gathered_by="indices"),
    body=_body,
)
