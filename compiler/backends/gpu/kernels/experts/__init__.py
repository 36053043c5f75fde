"""Kernels of the mixture of experts."""
