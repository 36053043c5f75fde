"""Experts chosen by the caller."""

import onnx
import onnx_ir as ir

from ossc.compiler.dialect import DOMAIN
from ossc.compiler.dialect.functions import OPSET_VERSION
from ossc.compiler.passes.base import FLOAT, Pass

CHOSEN_EXPERTS = "chosen_experts"
"""Graph inputs that this pass adds, one a router: ``chosen_experts.0`` and so on."""

ROUTER_SHORTFALL = "router_shortfall"
"""Graph outputs that this pass adds, one a router."""

_GIVEN_EXPERTS = f"""
<domain: "{DOMAIN}", opset_import: ["": {OPSET_VERSION}]>
GivenExperts (x, weight, bias, own, given) => (weights, shortfall) {{
    weight_f32 = Cast <to = 1> (weight)
    bias_f32 = Cast <to = 1> (bias)
    logits = Gemm <transB = 1> (x, weight_f32, bias_f32)
    own_logits = GatherElements <axis = 1> (logits, own)
    given_logits = GatherElements <axis = 1> (logits, given)
    weights = Softmax <axis = -1> (given_logits)
    slots = Constant <value_ints = [1]> ()
    smallest_own = ReduceMin <keepdims = 0> (own_logits, slots)
    smallest_given = ReduceMin <keepdims = 0> (given_logits, slots)
    shortfall = Sub (smallest_own, smallest_given)
}}
"""


class TakeRouting(Pass):
    """Take the chosen experts as inputs, so that another computation's choice can be followed.

    1. ``Router`` number i: what reads the chosen experts reads the new graph input
       ``chosen_experts.i`` ``[tokens, k]`` instead, and their weights become the softmax of these
       experts' logits. The graph output ``router_indices.i`` stays the router's own choice. A new
       one, ``router_shortfall.i`` ``[tokens]``, is by how much the smallest logit of the given
       experts is below the smallest of its own.
    2. No router: leave the graph.
    """

    def rewrite(self, model: ir.Model) -> bool:
        """Rewrite every router."""
        routers = [node for node in model.graph if node.op_identifier() == (DOMAIN, "Router", "")]
        if not routers:  # case 2
            return False
        function = ir.serde.deserialize_function(onnx.parser.parse_function(_GIVEN_EXPERTS))
        model.functions[function.identifier()] = function
        for index, router in enumerate(routers):
            _take_choice(model.graph, index, router)
        return True


def _take_choice(graph: ir.Graph, index: int, router: ir.Node) -> None:
    own, weights = router.outputs
    given = ir.Value(
        name=f"{CHOSEN_EXPERTS}.{index}", type=ir.TensorType(ir.DataType.INT64), shape=own.shape
    )
    graph.inputs.append(given)
    for user, at in tuple(own.uses()):
        user.replace_input_with(at, given)
    outputs = [
        ir.Value(name=f"{router.name}:given", type=ir.TensorType(FLOAT), shape=weights.shape),
        ir.Value(
            name=f"{ROUTER_SHORTFALL}.{index}",
            type=ir.TensorType(FLOAT),
            shape=ir.Shape(["tokens"]),
        ),
    ]
    ir.convenience.replace_all_uses_with(weights, outputs[0])
    inputs = [*router.inputs, own, given]
    name = f"{router.name}/GivenExperts"
    graph.insert_after(
        router, ir.node("GivenExperts", inputs, domain=DOMAIN, outputs=outputs, name=name)
    )
    graph.outputs.append(outputs[1])
