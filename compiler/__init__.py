"""From a Hugging Face checkpoint to a bundle: export to ONNX, fuse, quantize, lower, pack."""
