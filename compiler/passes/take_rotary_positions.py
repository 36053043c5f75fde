"""Rotary positions given by the caller."""

import onnx_ir as ir

from ossc.compiler.dialect.call import as_call
from ossc.compiler.passes.base import Pass

ROTARY_POSITIONS = "rotary_position_ids"
"""Graph input that this pass adds."""

_ATTENTION = ("Attention", "RopeAttention")


class TakeRotaryPositions(Pass):
    """Take the positions that rotate queries and keys as an input of their own.

    So a few tokens can stand far apart, where a frequency that is slightly wrong shows, while the
    cache and the masks still count them one by one.

    1. Nodes other than attention that read ``position_ids``, from which cos and sin come,
       read the new graph input ``rotary_position_ids`` of the same shape instead.
    2. None but attention reads them: leave the graph.
    """

    def rewrite(self, model: ir.Model) -> bool:
        """Give cos and sin the new input."""
        positions = next(value for value in model.graph.inputs if value.name == "position_ids")
        uses = [use for use in positions.uses() if as_call(use.node, *_ATTENTION) is None]
        if not uses:  # case 2
            return False
        given = ir.Value(name=ROTARY_POSITIONS, type=positions.type, shape=positions.shape)
        model.graph.inputs.append(given)
        for user, at in uses:
            user.replace_input_with(at, given)
        return True
