"""What each kind of device needs: one folder a kind, with one ``BACKEND`` in its ``backend.py``.

A folder without that file holds what several kinds share.
"""

import pkgutil
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ossc.targets.errors import UnknownNameError

if TYPE_CHECKING:  # it knows lowered models, and so TVM
    from ossc.compiler.backends.backend import Backend


def backend_kinds() -> list[str]:
    """Return the kinds of devices that have a backend here."""
    folders = (Path(place) / name for place in __path__ for name in _packages())
    return sorted(folder.name for folder in folders if (folder / "backend.py").is_file())


def _packages() -> list[str]:
    return [module.name for module in pkgutil.iter_modules(__path__) if module.ispkg]


def find_backend(kind: str) -> "Backend":
    """Return the backend of a target's ``kind``; one that cannot be imported raises what it raises.

    Raises:
        UnknownNameError: There is no folder for it; near misses are suggested.
    """
    known = backend_kinds()
    if kind not in known:
        raise UnknownNameError("backend", kind, known)
    backend: Backend = import_module(f"{__name__}.{kind}.backend").BACKEND
    return backend
