"""Devices that OpenCL reaches."""
