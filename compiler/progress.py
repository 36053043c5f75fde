"""What long work tells its caller while it runs."""

from typing import Protocol


class Reporter(Protocol):
    """Receives the phases of a compilation."""

    def phase(self, name: str, total_bytes: int | None = None) -> None:
        """Begin a phase; ``total_bytes`` is what it will work through, if that is known."""

    def advance(self, detail: str, size_bytes: int) -> None:
        """Report that so many bytes of the phase are done; ``detail`` is what they belong to."""

    def note(self, text: str) -> None:
        """Say something about the result that its user should know."""


class SilentReporter(Reporter):
    """Reports to nobody."""

    def phase(self, name: str, total_bytes: int | None = None) -> None:
        """Do nothing."""

    def advance(self, detail: str, size_bytes: int) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""
