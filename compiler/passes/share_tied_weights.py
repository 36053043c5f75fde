"""One initializer for what a checkpoint holds once: an embedding that is the head too."""

from collections.abc import Hashable

import onnx_ir as ir

from ossc.compiler.passes.base import Pass, replace_value


class ShareTiedWeights(Pass):
    """Let nodes that read the same bytes of a file read the same initializer, the first one's.

    Then a weight that two nodes have in the same scheme is quantized once, and may be packed once.
    """

    def rewrite(self, model: ir.Model) -> bool:
        """Replace each initializer that is another one's bytes; the others stay."""
        first: dict[Hashable, ir.Value] = {}
        modified = False
        for value in tuple(model.graph.initializers.values()):
            place = _place(value.const_value)
            if place is None or first.setdefault(place, value) is value:
                continue
            replace_value(value, first[place])
            model.graph.initializers.pop(value.name or "")
            modified = True
        return modified


def _place(tensor: ir.TensorProtocol | None) -> Hashable | None:
    """Return where a tensor lies, and what its bytes mean; None for one in memory."""
    if not isinstance(tensor, ir.ExternalTensor):
        return None
    return tensor.path, tensor.offset, tensor.dtype, tuple(tensor.shape.numpy())
