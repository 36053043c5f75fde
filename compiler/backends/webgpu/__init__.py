"""Browsers with WebGPU."""
