"""What the pipeline asks of a kind of device."""

from pathlib import Path
from typing import Protocol

import onnx_ir as ir

from ossc.compiler.lowering.lower import LoweredModel
from ossc.compiler.lowering.segment import LoweringOptions
from ossc.compiler.progress import Reporter
from ossc.targets import Target


class Backend(Protocol):
    """From a fused and quantized model to the code files of a bundle."""

    @property
    def kind(self) -> str:
        """That of the targets it serves; the folder is named so."""

    def prepare(self, target: Target, progress: Reporter) -> None:
        """Make sure, before minutes of work, that :meth:`emit` will have what it needs.

        Raises:
            ToolchainError: A compiler or linker is missing, or cannot work here.
        """

    def lower(self, model: ir.Model, options: LoweringOptions) -> LoweredModel:
        """Return plans, packed weights, costs and kernels; no weight is read.

        Raises:
            LoweringError: The graph has a node without a lowering.
        """

    def emit(self, lowered: LoweredModel, target: Target, folder: Path, scratch: Path) -> None:
        """Write the code files: what a bundle holds besides plans, weights and texts.

        Args:
            lowered: By :meth:`lower`, for this target.
            target: What to generate code for.
            folder: The bundle under construction.
            scratch: For what is only needed meanwhile; on the same disk.

        Raises:
            ToolchainError: A compiler or linker is missing, or failed.
            OSError: A file cannot be written.
        """
