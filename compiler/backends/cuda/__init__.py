"""NVIDIA's GPUs: the kernels of all GPUs as CUDA, compiled by NVRTC."""
