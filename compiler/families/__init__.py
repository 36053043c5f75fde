"""Model families: one file each, named as ``model_type`` in config.json, with one ``FAMILY``."""

import pkgutil
from importlib import import_module

from ossc.compiler.families.family import Family
from ossc.targets.errors import UnknownNameError

_NOT_FAMILIES = {"family"}
"""Files of this folder that hold no family."""


def family_names() -> list[str]:
    """Return the model types that have a file here."""
    files = {module.name for module in pkgutil.iter_modules(__path__) if not module.ispkg}
    return sorted(files - _NOT_FAMILIES)


def find_family(model_type: str) -> Family:
    """Return the family of a ``model_type``; a file that cannot be imported raises what it raises.

    Raises:
        UnknownNameError: There is no file for it; near misses are suggested.
    """
    known = family_names()
    if model_type not in known:
        raise UnknownNameError("model family", model_type, known)
    family: Family = import_module(f"{__name__}.{model_type}").FAMILY
    return family
