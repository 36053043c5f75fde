"""Bundles that are shared between the tests, and between the workers that run them."""

from compiled import compiled

__all__ = ["compiled"]
