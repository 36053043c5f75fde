"""Passes: ONNX in, ONNX out, each runnable in onnxruntime.

One file a pass; the order is in ``compiler/pipeline.py``. Weights are never read here: a pass that
changes them puts tensors in their place that compute a slice when it is asked for.
"""

from ossc.compiler.passes.base import NodePass, Pass

__all__ = ["NodePass", "Pass"]
