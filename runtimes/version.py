"""The version of ossc, in one place: the build reads it, bundles record it."""

__version__ = "0.1.0"
