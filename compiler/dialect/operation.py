"""What an operation of the dialect is."""

from collections.abc import Callable
from dataclasses import dataclass

from ossc.compiler.quantization.rules import TensorClass

Port = tuple[str, str]
"""Name of an input or output, and its dtype and shape for the documentation."""

Options = frozenset[str]
"""The optional inputs that a node has, and the variants that it is of."""


@dataclass(frozen=True, kw_only=True)
class WeightInput:
    """The input in whose place the parts of a weight's format stand."""

    index: int
    """Where it stands among the inputs."""
    tensor_class: TensorClass | None = None
    """What a quantization plan calls such weights; None: the node's attribute ``tensor_class``."""
    gathered_by: str | None = None
    """The input whose values choose rows along axis 0; None where the whole weight is used."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation: an ONNX function for each format of its weight and each set of options."""

    name: str
    summary: str
    inputs: tuple[Port, ...]
    optional: tuple[Port, ...] = ()
    """Inputs after the others, each of which a node may lack."""
    outputs: tuple[Port, ...]
    attributes: tuple[str, ...] = ()
    variants: tuple[str, ...] = ()
    """Other forms of the computation; docs/onnx-dialect.md says what each means."""
    body: str | Callable[[Options], str]
    """Nodes from the inputs to the outputs, in ONNX's textual syntax; ``matrix`` is the weight, or
    its chosen rows, in float32."""
    weight: WeightInput | None = None

    @property
    def weight_name(self) -> str | None:
        """The input in whose place the parts of a format stand, if there is one."""
        return self.inputs[self.weight.index][0] if self.weight is not None else None

    def body_of(self, options: Options) -> str:
        """Return the body of a node with these options."""
        return self.body if isinstance(self.body, str) else self.body(options)

    def inputs_of(self, options: Options) -> tuple[str, ...]:
        """Return the names of the inputs of a node with these options."""
        given = [name for name, _ in self.optional if name in options]
        return (*(name for name, _ in self.inputs), *given)
