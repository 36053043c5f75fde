"""The operations: one file each, with its ``OPERATION``."""
