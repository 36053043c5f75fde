"""What an operation of the dialect is."""

from dataclasses import dataclass

from ossc.compiler.quantization.plan import TensorClass

Port = tuple[str, str]
"""Name of an input or output, and its dtype and shape for the documentation."""


@dataclass(frozen=True, kw_only=True)
class WeightInput:
    """The input that a quantization scheme replaces by its parts."""

    index: int
    """Where it stands among the inputs."""
    tensor_class: TensorClass | None
    """What a quantization plan calls such weights; None for those that no plan changes."""
    gathered_by: str | None = None
    """The input whose values choose rows along axis 0; None where the whole weight is used."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation; with a weight, one ONNX function for each quantization scheme."""

    name: str
    summary: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    attributes: tuple[str, ...] = ()
    body: str
    """Nodes from the inputs to the outputs, in ONNX's textual syntax; ``matrix`` is the quantized
    weight, or its chosen rows, in float32."""
    weight: WeightInput | None = None
