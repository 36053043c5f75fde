"""The inputs and outputs of segments: what the runtime writes and reads, by role and layer."""

from collections.abc import Iterable, Mapping, Sequence

from ossc.runtimes.plan.checks import require
from ossc.runtimes.plan.segment import Binding, Segment
from ossc.runtimes.plan.space import Space, Use
from ossc.runtimes.plan.tensor import PlanTensor, Role

Key = tuple[Role, int]
"""A role, and a layer or -1."""

_BODY_INPUTS = {(Role.TOKEN_IDS, -1), (Role.POSITIONS, -1)}


def by_role(bindings: Iterable[Binding], tensors: Sequence[PlanTensor]) -> dict[Key, PlanTensor]:
    """Return the tensors of inputs or outputs by role and layer.

    Raises:
        BundleError: Two have the same.
    """
    found: dict[Key, PlanTensor] = {}
    for each in bindings:
        tensor = tensors[each.tensor]
        key = (tensor.role, each.layer)
        require(key not in found, f"{describe(key)} is bound twice")
        found[key] = tensor
    return found


def describe(key: Key) -> str:
    """Return how messages call an input or output."""
    role, layer = key
    name = role.name.lower().replace("_", " ")
    return name if layer < 0 else f"{name} of layer {layer}"


def router_widths(outputs: Iterable[Key], tensors: Mapping[Key, PlanTensor]) -> dict[int, int]:
    """Return how many experts each router chooses for a row, by layer, in the order given."""
    return {
        layer: (tensors[role, layer].shape or (0,))[-1]
        for role, layer in outputs
        if role == Role.EXPERT_INDICES
    }


class InterfaceCheck:
    """Checks segments against the sizes that decode has."""

    def __init__(
        self,
        tensors: Sequence[PlanTensor],
        spaces: Sequence[Space],
        vocab_size: int,
        hidden_size: int,
        widths: Mapping[int, int],
    ) -> None:
        self._tensors, self._spaces = tensors, spaces
        self._hidden_size = hidden_size
        self._widths = widths
        self._columns: dict[Role, int | None] = {
            Role.TOKEN_IDS: None,
            Role.POSITIONS: None,
            Role.HIDDEN: hidden_size,
            Role.LOGITS: vocab_size,
        }

    def check(self, segment: Segment) -> None:
        """Refuse a segment whose inputs and outputs are not those that the runtime knows.

        Raises:
            BundleError: They are not.
        """
        inputs = by_role(segment.inputs, self._tensors)
        outputs = by_role(segment.outputs, self._tensors)
        if segment.name == "head":
            self._require_keys(segment, "input", set(inputs), {(Role.HIDDEN, -1)})
            self._require_keys(segment, "output", set(outputs), {(Role.LOGITS, -1)})
        else:
            routers = [(Role.EXPERT_INDICES, layer) for layer in self._widths]
            self._require_keys(segment, "input", set(inputs), _BODY_INPUTS)
            self._require_keys(segment, "output", set(outputs), {(Role.HIDDEN, -1), *routers})
            self._check_order(segment, outputs)
        for key, tensor in (*inputs.items(), *outputs.items()):
            self._check_rows(segment, key, tensor)

    def _require_keys(self, segment: Segment, what: str, given: set[Key], needed: set[Key]) -> None:
        wrong = sorted(given ^ needed)
        fault = f"the {what} {describe(wrong[0])}" if wrong else ""
        state = "lacks" if wrong and wrong[0] in needed else "has"
        require(not wrong, f"{segment.name} {state} {fault}")

    def _check_order(self, segment: Segment, outputs: Iterable[Key]) -> None:
        layers = [layer for role, layer in outputs if role == Role.EXPERT_INDICES]
        require(
            layers == sorted(layers) and min(layers, default=0) >= 0,
            f"the routers of {segment.name} are not in the order of the layers",
        )

    def _check_rows(self, segment: Segment, key: Key, tensor: PlanTensor) -> None:
        role, layer = key
        columns = self._widths[layer] if role == Role.EXPERT_INDICES else self._columns[role]
        where = f"{describe(key)} of {segment.name}"
        require(columns is None or 0 < columns < 2**31, f"{where} has {columns} columns")
        require(self._spaces[tensor.space].use == Use.STATE, f"{where} is not in the state")
        require(tensor.has_rows(columns, segment.max_tokens), f"{where} has shape {tensor.shape}")
