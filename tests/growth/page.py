"""Follows the pages ``docs/adding-a-*.md``: what they show is what the tests add.

A block of code that begins with three backticks, ``python`` and a path belongs to that file; blocks
of one path follow each other. A file that there is already is added to: entries of its tables.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ossc.compiler import dialect, families, quantization, storage
from ossc.targets import all_targets

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```python (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

FOUND: tuple[Callable[[], Any], ...] = (
    families._families,
    quantization.all_schemes,
    storage.storage_formats,
    dialect.all_operations,
    all_targets,
)
"""What remembers the files that it found."""


def steps(page: str) -> list[tuple[str, str]]:
    """Return path and code of each block, in order."""
    found = BLOCK.findall((DOCS / f"{page}.md").read_text(encoding="utf-8"))
    assert found, f"{page} shows no code"
    return found


@contextmanager
def followed(page: str, folder: Path, without: int | None = None) -> Iterator[dict[str, Any]]:
    """Do what a page says, and undo it after.

    Args:
        page: Its name.
        folder: For the files that it adds.
        without: A step that is left out.

    Yields:
        The names that the page's blocks for tests define.
    """
    files: dict[str, str] = {}
    for index, (path, code) in enumerate(steps(page)):
        files[path] = files.get(path, "") + (code if index != without else "")
    loaded = set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        _forget()
        names: dict[str, Any] = {}
        tables: list[tuple[dict[Any, Any], dict[Any, Any]]] = []
        try:
            for path, code in files.items():
                if path.startswith("tests/") or not code:
                    continue
                if (ROOT / path).is_file():
                    tables += _extend(path, code)
                else:
                    _add(path, code, folder, patch)
            for path, code in files.items():
                if path.startswith("tests/"):
                    exec(compile(code, path, "exec"), names)  # noqa: S102
            yield names
        finally:
            for name in set(sys.modules) - loaded:
                if name.startswith("ossc.") and _is_below(sys.modules[name], folder):
                    del sys.modules[name]
            for table, before in tables:
                table.clear()
                table.update(before)
            _forget()


def _extend(path: str, code: str) -> list[tuple[dict[Any, Any], dict[Any, Any]]]:
    """Run code in a module that there is; return its tables, and what they held before."""
    module = import_module(".".join(("ossc", *Path(path).with_suffix("").parts)))
    tables = [value for value in vars(module).values() if type(value) is dict]
    before = [(table, dict(table)) for table in tables]
    exec(compile(code, path, "exec"), vars(module))  # noqa: S102
    return before


def _add(path: str, code: str, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Write a file, and let the package that it belongs to look into the folder too."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(code, encoding="utf-8")
    parents = [each for each in Path(path).parents if each.parts]
    known = next(each for each in parents if (ROOT / each).is_dir())
    package = import_module(".".join(("ossc", *known.parts)))
    if str(folder / known) not in package.__path__:
        patch.setattr(package, "__path__", [*package.__path__, str(folder / known)])
    for each in parents[: parents.index(known)]:
        (folder / each / "__init__.py").touch()


def _is_below(module: object, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).is_relative_to(folder)


def _forget() -> None:
    for find in FOUND:
        find.cache_clear()


def every_step(page: str) -> pytest.MarkDecorator:
    """Give a test the parameter ``step``: each of a page's steps in turn."""
    ids = [f"{index}-{Path(path).name}" for index, (path, _) in enumerate(steps(page))]
    return pytest.mark.parametrize("step", range(len(ids)), ids=ids)
