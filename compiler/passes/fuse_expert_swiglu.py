"""The experts' first product and its activation as one node."""

from typing import ClassVar

import onnx_ir as ir

from ossc.compiler.dialect import op_type, parse_operation
from ossc.compiler.passes.base import FLOAT, PatternPass, fused_node
from ossc.compiler.passes.pattern import Match, Pattern
from ossc.compiler.quantization import all_schemes, find_scheme
from ossc.compiler.quantization.scheme import QuantizationScheme


def _swiglu_pattern(scheme: QuantizationScheme) -> Pattern:
    parts = ", ".join(part.name for part in scheme.parts)
    return Pattern(
        f"""<alpha> (x, indices, {parts}, bias, least, limit) => (y) {{
            token_axis = Constant <value_ints = [1]> ()
            one_for_all = Unsqueeze (x, token_axis)
            gate_up = ossc.{op_type("ExpertLinear", scheme)} (one_for_all, indices, {parts}, bias)
            zero = Constant <value_ints = [0]> ()
            one = Constant <value_ints = [1]> ()
            two = Constant <value_ints = [2]> ()
            end = Constant <value_ints = [9223372036854775807]> ()
            last_axis = Constant <value_ints = [-1]> ()
            gate = Slice (gate_up, zero, end, last_axis, two)
            up = Slice (gate_up, one, end, last_axis, two)
            clamped_gate = Min (gate, limit)
            clamped_up = Clip (up, least, limit)
            swish = Swish <alpha: float = @alpha> (clamped_gate)
            unit = Constant <value = float {{1}}> ()
            scaled_up = Add (clamped_up, unit)
            y = Mul (scaled_up, swish)
        }}"""
    )


class FuseExpertSwiGlu(PatternPass):
    """Replace an expert product of one vector a token, and gpt-oss's SwiGLU, by ``ExpertSwiGlu``.

    1. Even columns are gates, odd ones are ups, all clamped at one constant limit: fuse.
    2. The limits differ, or are computed: leave it.
    3. Other nodes read the product too: leave it.
    """

    patterns: ClassVar = tuple(map(_swiglu_pattern, all_schemes()))

    def replace(self, match: Match) -> ir.Node | None:
        """Return the node of case 1."""
        limit, least = match.scalar("limit"), match.scalar("least")
        if limit is None or least is None or least != -limit:  # case 2
            return None
        linear, bias = match.values["gate_up"].producer(), match.values["bias"]
        assert linear is not None
        assert bias.shape is not None
        _, scheme = parse_operation(linear.op_type)
        _, k, rows = linear.outputs[0].shape or ("tokens", "num_experts_per_tok", 0)
        inputs = [match.values["x"], *(value for value in linear.inputs[1:] if value is not None)]
        return fused_node(
            op_type("ExpertSwiGlu", find_scheme(scheme or "")),
            inputs,
            linear.name or "",
            attributes={"alpha": match.attributes["alpha"], "limit": limit},
            outputs=[(FLOAT, ["tokens", k, rows // 2])],
        )
