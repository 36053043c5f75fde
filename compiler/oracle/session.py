"""Runs a model in onnxruntime, with the weights mapped from where they are."""

import os
import tempfile
from pathlib import Path

import onnx_ir as ir

from ossc.compiler.checkpoint.views import SlicedTensor
from ossc.compiler.oracle.external_data import LargeTensor, append_tensor, file_of, to_proto

# Loading onnxruntime would else leave an identifier in the home folder and report to its makers.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime


def ort_session(model: ir.Model) -> onnxruntime.InferenceSession:
    """Open a model at any stage of the passes as it is in memory.

    onnxruntime maps the checkpoint's files; what the passes compute (quantized weights) goes into
    a temporary file, which it maps too. Nothing is folded or fused, so that neither time nor memory
    goes into copies of the weights, and every stage is computed as its graph says.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_cpu_mem_arena = False  # it keeps what the largest product needed
    options.log_severity_level = 3  # errors only
    # Locations are absolute but for the leading slash; this is the folder they may not leave.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", "/")
    with tempfile.TemporaryDirectory(prefix="ossc-") as folder:
        computed = Path(folder, "computed.bin").resolve()
        with computed.open("wb") as file:

            def locate(tensor: LargeTensor) -> tuple[str, int]:
                if isinstance(tensor, SlicedTensor):
                    return _below_root(computed), append_tensor(file, tensor)
                return _below_root(file_of(tensor)), tensor.offset or 0

            proto = to_proto(model, locate)
        return onnxruntime.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )


def _below_root(path: Path) -> str:
    return path.relative_to(path.anchor).as_posix()
