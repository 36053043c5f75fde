"""From a fused, quantized ONNX model to an execution plan, kernels and packed weights."""
