"""Model families: one file each, named as ``model_type`` in config.json, with one ``FAMILY``.

A family that is another one under a further ``model_type`` is an alias of it. Fields of config.json
that several families read are in ``fields/``, parts of graphs that several write in ``layers/``.
docs/adding-a-family.md says what belongs into the file.
"""

import pkgutil
from functools import cache
from importlib import import_module
from typing import Any

from ossc.compiler.families.family import Family
from ossc.targets.errors import UnknownNameError

_NOT_FAMILIES = {"family", "model_config", "source_model"}
"""Files of this folder that hold no family."""


@cache
def _families() -> dict[str, Family[Any]]:
    """Return every family, by each ``model_type`` that it is for."""
    files = {module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg}
    found: list[Family[Any]] = [
        import_module(f"{__name__}.{file}").FAMILY for file in sorted(files - _NOT_FAMILIES)
    ]
    return {name: each for each in found for name in (each.model_type, *each.aliases)}


def family_names() -> list[str]:
    """Return the model types that are known."""
    return sorted(_families())


def find_family(model_type: str) -> Family[Any]:
    """Return the family of a ``model_type``; a file that cannot be imported raises what it raises.

    Raises:
        UnknownNameError: There is none for it; near misses are suggested.
    """
    known = _families()
    if model_type not in known:
        raise UnknownNameError("model family", model_type, known)
    return known[model_type]
