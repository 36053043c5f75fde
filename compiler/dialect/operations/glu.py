"""A gate, and what it lets through."""

from ossc.compiler.dialect.bodies.glu import ACTIVATIONS, glu_body, split_body
from ossc.compiler.dialect.operation import Operation, Options


def _body(options: Options) -> str:
    gate_and_up = "gate = Identity (x)\n" if "up" in options else split_body("x")
    return gate_and_up + glu_body(options)


OPERATION = Operation(
    name="Glu",
    summary="the activation of x, times up; without up, x holds gates and ups in turn",
    inputs=(("x", "f32 [..., I], or [..., 2I] without up"),),
    optional=(("up", "f32 [..., I]"),),
    outputs=(("y", "f32 [..., I]"),),
    attributes=("alpha", "limit"),
    variants=ACTIVATIONS,
    body=_body,
)
