"""Experts chosen by the caller."""

import onnx
import onnx_ir as ir

from ossc.compiler.dialect import DOMAIN
from ossc.compiler.dialect.call import calls_in
from ossc.compiler.dialect.functions import OPSET_VERSION
from ossc.compiler.dialect.operation import Options
from ossc.compiler.dialect.operations.router import logits_body
from ossc.compiler.passes.base import FLOAT, Pass

CHOSEN_EXPERTS = "chosen_experts"
"""Graph inputs that this pass adds, one a router: ``chosen_experts.0`` and so on."""

ROUTER_SHORTFALL = "router_shortfall"
"""Graph outputs that this pass adds, one a router."""


def _given_experts(options: Options) -> ir.Function:
    """Return the function that weighs given experts as a router of these options would."""
    bias = ", bias" if "bias" in options else ""
    proto = onnx.parser.parse_function(f"""
        <domain: "{DOMAIN}", opset_import: ["": {OPSET_VERSION}]>
        GivenExperts (x, weight{bias}, own, given) => (weights, shortfall) {{
            {logits_body(options)}
            own_logits = GatherElements <axis = 1> (logits, own)
            given_logits = GatherElements <axis = 1> (logits, given)
            weights = Softmax <axis = -1> (given_logits)
            slots = Constant <value_ints = [1]> ()
            smallest_own = ReduceMin <keepdims = 0> (own_logits, slots)
            smallest_given = ReduceMin <keepdims = 0> (given_logits, slots)
            shortfall = Sub (smallest_own, smallest_given)
        }}
    """)
    proto.overload = ",".join(options)
    return ir.serde.deserialize_function(proto)


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
        routers = calls_in(model, "Router")
        for index, router in enumerate(routers):
            function = _given_experts(router.options)
            model.functions[function.identifier()] = function
            _take_choice(model.graph, index, router.node)
        return bool(routers)


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
        router,
        ir.node(
            "GivenExperts",
            inputs,
            domain=DOMAIN,
            overload=router.overload,
            outputs=outputs,
            name=name,
        ),
    )
    graph.outputs.append(outputs[1])
