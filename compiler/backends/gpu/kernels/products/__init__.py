"""Products of activations with matrices: one for a single token, one for a chunk."""
