"""Texts that a checkpoint brings: read before the minutes of work, not first on a device."""
