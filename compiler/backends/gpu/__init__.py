"""What the backends of all GPUs share: kernels, packed weights, and code generation."""
