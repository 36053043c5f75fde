"""Which part imports which, and what is loaded when."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ALLOWED = {
    "targets": {"targets"},
    "runtimes": {"targets", "runtimes"},
    "compiler": {"targets", "runtimes", "compiler"},
}
COMPILER_ORDER = (
    {"__init__"},
    {"cli"},
    {"verify_reading"},
    {"estimate", "evaluate", "verify"},
    {"pipeline"},
    {"describe"},
    {"notes", "order"},
    {"bundle", "recipe", "text"},
    {"backends"},
    {"lowering", "oracle"},
    {"families", "passes"},
    {"dialect"},
    {"storage"},
    {"quantization"},
    {"checkpoint"},
    {"atomic_folder", "available_memory", "progress"},
)
"""The files and folders of ``compiler/``: each imports only from lines below its own."""

C_ORDER = (
    {"main.c"},
    {"measure"},
    {"cli"},
    {"exec"},
    {"device"},
    {"bundle"},
    {"base"},
)
"""The folders of ``runtimes/c/src``: each includes only from lines below its own."""

COMPILE_PACKAGES = {"ml_dtypes", "onnx", "onnx_ir", "onnxruntime", "tvm", "tvm_ffi", "ziglang"}
HEAVY_PACKAGES = COMPILE_PACKAGES | {"jinja2", "numpy", "tokenizers", "torch", "transformers"}


def imported_parts(source: str) -> set[str]:
    """Return the x of every ``import ossc.x…`` and ``from ossc.x… import …``, at any depth."""
    names: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module == "ossc":
            names += [f"ossc.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module or "")
    return {name.split(".")[1] for name in names if name.startswith("ossc.")}


def python(code: str) -> str:
    """Run code in a fresh interpreter that can import ossc; return what it prints."""
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": str(ROOT / ".links"), "PATH": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("part", ALLOWED)
def test_a_part_imports_only_those_before_it(part):
    for file in (ROOT / part).rglob("*.py"):
        assert imported_parts(file.read_text()) <= ALLOWED[part], file


def imported_compiler_parts(source: str) -> set[str]:
    """Return the x of every import of ``ossc.compiler.x…``, at any depth."""
    parts: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "ossc.compiler":
            parts |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ossc.compiler."):
            parts.add(str(node.module).split(".")[2])
    return parts


def included_folders(source: str) -> set[str]:
    """Return the first folder of every ``#include "folder/…"``."""
    return set(re.findall(r'^#include "([a-z]+)/', source, re.MULTILINE))


def upward(order: Sequence[set[str]], arrows: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the arrows between different parts that do not go down in an order."""
    level = {name: index for index, names in enumerate(order) for name in names}
    return {(a, b) for a, b in arrows if a != b and level[b] <= level[a]}


def test_arrows_inside_the_compiler_go_down():
    root = ROOT / "compiler"
    arrows = {
        (file.relative_to(root).parts[0].removesuffix(".py"), part)
        for file in root.rglob("*.py")
        for part in imported_compiler_parts(file.read_text())
    }
    assert upward(COMPILER_ORDER, arrows) == set()


def test_arrows_between_the_folders_of_the_c_runtime_go_down():
    root = ROOT / "runtimes/c/src"
    arrows = {
        (file.relative_to(root).parts[0], folder)
        for file in root.rglob("*.[ch]")
        for folder in included_folders(file.read_text())
    }
    assert upward(C_ORDER, arrows) == set()


def test_an_arrow_that_goes_up_or_sideways_is_seen():
    order = ({"a"}, {"b", "c"})
    assert upward(order, [("a", "b"), ("a", "a"), ("b", "c"), ("c", "a")]) == {
        ("b", "c"),
        ("c", "a"),
    }


def test_every_form_of_import_is_seen():
    forms = "import ossc.a.b\nfrom ossc.c import d\nfrom ossc import e\ndef f():\n import ossc.g"
    assert imported_parts(forms) == {"a", "c", "e", "g"}


@pytest.mark.parametrize("part", ["targets", "runtimes"])
def test_targets_and_runtimes_import_without_the_compile_packages(part):
    modules = [
        ".".join(("ossc", *file.relative_to(ROOT).with_suffix("").parts))
        for file in (ROOT / part).rglob("*.py")
        if file.stem not in ("__init__", "__main__")
    ]
    assert modules
    python(
        "import importlib, sys\n"
        f"sys.modules.update(dict.fromkeys({sorted(COMPILE_PACKAGES)}))\n"
        f"for name in {modules}: importlib.import_module(name)"
    )


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["targets"]], ids=" ".join)
def test_the_light_commands_load_no_heavy_package(arguments):
    output = python(
        "import json, sys\n"
        "from ossc.compiler.cli import main\n"
        f"main({arguments}, standalone_mode=False)\n"
        "print(json.dumps(list(sys.modules)))"
    )
    loaded = {name.split(".")[0] for name in json.loads(output.splitlines()[-1])}
    assert not loaded & HEAVY_PACKAGES


@pytest.mark.parametrize("part", ALLOWED)
def test_each_part_is_linked_into_the_package_and_says_that_it_is_typed(part):
    assert (ROOT / ".links" / "ossc" / part).resolve() == ROOT / part
    assert (ROOT / part / "py.typed").is_file()
