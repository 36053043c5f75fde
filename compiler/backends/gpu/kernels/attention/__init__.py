"""Attention over KV caches."""
