"""What a file holds of which nothing is known yet: looked at, and never refused."""

import json
from pathlib import Path
from typing import Any

MAX_JSON_BYTES = 1 << 20
"""How much is read of a JSON file; a longer one has no fields."""


def begins_with(file: Path, magic: bytes, max_bytes: int | None = None) -> bool:
    """Tell whether a file, of at most so many bytes, begins with these; no unreadable one does."""
    try:
        if not file.is_file() or (max_bytes is not None and file.stat().st_size > max_bytes):
            return False
        with file.open("rb") as stream:
            return stream.read(len(magic)) == magic
    except OSError:
        return False


def read_fields(file: Path) -> dict[str, Any]:
    """Return the fields of a JSON file; none where it is missing or is not one."""
    try:
        with file.open("rb") as stream:
            fields = json.loads(stream.read(MAX_JSON_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}
