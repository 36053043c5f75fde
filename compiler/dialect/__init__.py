"""The ONNX dialect: operations as model-local functions of the domain ``ossc``.

A node's ``overload`` says which function of its operation it calls: the format of its weight, then
its variants and the optional inputs that it has, such as ``Linear`` of ``"int8-g32,bias"``. The
bodies are standard operators, so onnxruntime runs what our importer reads node by node.
docs/onnx-dialect.md lists them all.

An operation is a file of ``operations/``.
"""

import pkgutil
from functools import cache
from importlib import import_module

from ossc.compiler.dialect.operation import Operation
from ossc.targets.errors import UnknownNameError

DOMAIN = "ossc"

DOMAIN_VERSION = 1


@cache
def all_operations() -> dict[str, Operation]:
    """Return every operation by its name."""
    folder = import_module(f"{__name__}.operations")
    files = sorted(module.name for module in pkgutil.iter_modules(folder.__path__))
    found: list[Operation] = [import_module(f"{folder.__name__}.{f}").OPERATION for f in files]
    return {operation.name: operation for operation in found}


def find_operation(name: str) -> Operation:
    """Return an operation by its name, such as ``"Linear"``.

    Raises:
        UnknownNameError: It is not in the dialect.
    """
    known = all_operations()
    if name not in known:
        raise UnknownNameError("operation in the ONNX dialect", name, known)
    return known[name]
