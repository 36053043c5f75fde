"""Lowers each operation of the dialect to kernels."""
