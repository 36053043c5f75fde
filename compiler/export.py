"""From a checkpoint to an ONNX graph in standard operators, with the weights left where they are.

The one function of our own in it is ``ossc.Mxfp4Dequantize``; the passes make the fused ones.
"""

import onnx_ir as ir

from ossc.compiler.checkpoint.reader import Checkpoint
from ossc.compiler.dialect.builder import GraphBuilder
from ossc.compiler.families import find_family
from ossc.compiler.oracle.save import default_place, save_model

__all__ = ["default_place", "export_model", "save_model"]


def export_model(checkpoint: Checkpoint) -> ir.Model:
    """Check a checkpoint and write it as a graph; no weight is read.

    Raises:
        UnknownNameError: There is no family for its ``model_type``.
        ConfigError: Its config does not describe a model of the family.
        CheckpointError: A tensor is missing, unknown, or of another dtype or shape.
    """
    family = find_family(checkpoint.config.model_type)
    family.check(checkpoint)
    builder = GraphBuilder(checkpoint)
    family.build(builder)
    return builder.model()
