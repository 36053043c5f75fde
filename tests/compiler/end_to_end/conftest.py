"""Bundles that are shared between the tests, and between the workers that run them."""

from compiled import backend, compiled, objects

__all__ = ["backend", "compiled", "objects"]
