"""A text that the user gives as a file."""

from pathlib import Path

from ossc.targets.errors import UsageError


def read_text_file(path: Path) -> str:
    """Read a file in UTF-8.

    Raises:
        UsageError: It cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); give a text file.") from error
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not UTF-8 text ({error.reason}); give a file that is."
        ) from error
