"""Instruction sets: what a vector is in each, and how it multiplies."""
