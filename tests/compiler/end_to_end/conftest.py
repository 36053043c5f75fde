"""Bundles that are shared between the tests, and between the workers that run them."""

from compiled import backend, compiled

__all__ = ["backend", "compiled"]
