"""The graph at any stage as a file, and run by stock onnxruntime."""
