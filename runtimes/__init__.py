"""Running a bundle: its formats, the C runtime and the Python binding; needs no compile package."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ossc.runtimes.session import Session

__all__ = ["Session"]


def __getattr__(name: str) -> Any:
    """Import `Session` when it is asked for: the formats alone need no NumPy."""
    if name == "Session":
        from ossc.runtimes.session import Session

        return Session
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
