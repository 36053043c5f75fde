"""A profile as JSON, and back; ``docs/profile.schema.json`` is made from the same types."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ossc.runtimes.profile.profile import SCHEMA_VERSION, Profile
from ossc.runtimes.strict_json import parse_fields
from ossc.targets.errors import UsageError

MAX_PROFILE_BYTES = 256 * 2**20


def to_json(profile: Profile) -> str:
    """The text of a profile; equal profiles give equal text."""
    return json.dumps(asdict(profile), indent=1, allow_nan=False) + "\n"


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a profile."""
    import msgspec

    return msgspec.json.schema(Profile)


def read_profile(path: Path) -> Profile:
    """Read the JSON that ``ossc profile --format json`` wrote.

    Raises:
        UsageError: The file cannot be read, or is not such JSON of this version.
    """
    try:
        if path.stat().st_size > MAX_PROFILE_BYTES:
            raise UsageError(f"{path} is larger than {MAX_PROFILE_BYTES} bytes: it is no profile.")
        fields = parse_fields(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}); give a file of ossc profile --format json."
        ) from error
    except ValueError as error:
        raise UsageError(f"{path} {error}; give a file of ossc profile --format json.") from error
    return from_fields(fields, str(path))


def from_fields(fields: dict[str, Any], where: str) -> Profile:
    """Make a profile of parsed JSON.

    Raises:
        UsageError: A field is missing or of another type, or the version is another.
    """
    import msgspec

    version = fields.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"{where} has schema version {version!r} and this ossc reads {SCHEMA_VERSION}; "
            "profile the bundle again."
        )
    try:
        profile = msgspec.convert(fields, Profile, strict=True, str_keys=True)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"{where} is not a profile ({error}); give a file of ossc profile --format json."
        ) from error
    if not all(math.isfinite(number) for number in _numbers(fields)):
        raise UsageError(f"{where} holds a number out of range; profile the bundle again.")
    return profile


def _numbers(value: object) -> list[float]:
    """All floats in parsed JSON: ``1e999`` is one that is infinite."""
    if isinstance(value, float):
        return [value]
    if isinstance(value, dict):
        return [number for item in value.values() for number in _numbers(item)]
    if isinstance(value, list):
        return [number for item in value for number in _numbers(item)]
    return []
