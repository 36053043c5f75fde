"""Checkpoints on disk: safetensors, JSON, and views of tensors; not what they mean."""
