"""Reading a text that a user gave as a file."""

from pathlib import Path

from ossc.targets.errors import UsageError


def read_utf8(path: Path) -> str:
    """Return the text of a file.

    Raises:
        UsageError: It cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); give a text file.") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not UTF-8 text (at byte {error.start}); save it as UTF-8."
        ) from error
