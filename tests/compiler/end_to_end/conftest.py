"""Bundles that are shared between the tests, and between the workers that run them."""

from compiled import backend, compiled, run_folder

__all__ = ["backend", "compiled", "run_folder"]
