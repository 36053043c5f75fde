"""Kernels for GPUs: one file an operation.

They hold to what every GPU language has: buffers of 32-bit words, int32 indices, float32
arithmetic, at most 8 buffers, groups of at most 128 work-items, and local memory for what
work-items share. Loops are short and stay loops: drivers compile the source on the user's machine.
"""
