"""Nodes that the bodies of several operations share."""
