"""Forms in which checkpoints store weights: one file a form, which holds its ``FORMATS``.

A new form is a new file here; docs/adding-a-storage.md says what belongs into it.
"""

import pkgutil
from functools import cache
from importlib import import_module

from ossc.compiler.quantization import find_scheme
from ossc.compiler.quantization.mixed_experts import in_order, mixed_experts
from ossc.compiler.quantization.scheme import WeightFormat, WeightType
from ossc.compiler.storage.format import StorageFormat
from ossc.runtimes.kernel_cost import JOINT

_NOT_FORMATS = {"format", "tensor_index"}
"""Files of this folder that hold no format."""


@cache
def storage_formats() -> tuple[StorageFormat, ...]:
    """Return every form, those of the most tensors first: a part of one may look like another."""
    names = sorted({module.name for module in pkgutil.iter_modules(__path__)} - _NOT_FORMATS)
    formats: list[StorageFormat] = [
        each for name in names for each in import_module(f"{__name__}.{name}").FORMATS
    ]
    return tuple(sorted(formats, key=lambda each: -len(each.suffixes)))


def find_storage(name: str) -> StorageFormat | None:
    """Return the form of stored weights that has this name, if there is one."""
    return next((each for each in storage_formats() if each.name == name), None)


def find_format(name: str) -> WeightFormat:
    """Return a format of weights: one that checkpoints have, or a scheme.

    Raises:
        UnknownNameError: There is none; near misses are suggested.
    """
    stored = find_storage(name)
    return stored.format if stored is not None else find_scheme(name)


def find_weight_type(name: str) -> WeightType:
    """Return what a node's weight is held in: a format, or several for the experts of one tensor.

    Args:
        name: Such as ``"int8-g32"`` or ``"mxfp4+int4-g32"``.

    Raises:
        UnknownNameError: There is none; near misses are suggested.
    """
    if JOINT not in name:
        return find_format(name)
    return mixed_experts(tuple(find_format(each) for each in in_order(name.split(JOINT))))
