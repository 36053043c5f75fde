"""Profiling a bundle: where the time goes, what a machine allows, and whether it became slower."""
