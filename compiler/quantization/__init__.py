"""Weight quantization: one file a scheme, and the plan that says which tensor gets which.

A new scheme is a new file here: its name with ``_`` for ``-``, and in it one ``SCHEME``.
"""

import pkgutil
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from ossc.compiler.quantization.scheme import QuantizationScheme, WeightType
from ossc.targets.errors import UnknownNameError

_NOT_SCHEMES = {"floats", "groups", "mixed_experts", "plan", "rules", "scheme"}
"""Files of this folder that hold no scheme."""


@cache
def all_schemes() -> tuple[QuantizationScheme, ...]:
    """Return every scheme, from the fewest bits to the most.

    A scheme's file that cannot be imported, or has no ``SCHEME``, raises what it raises.
    """
    names = {module.name for module in pkgutil.iter_modules(__path__)} - _NOT_SCHEMES
    schemes: list[QuantizationScheme] = [
        import_module(f"{__name__}.{name}").SCHEME for name in names
    ]
    return tuple(sorted(schemes, key=lambda scheme: (scheme.bits, scheme.name)))


def find_scheme(name: str) -> QuantizationScheme:
    """Return the scheme of a name such as ``"int8-g32"``.

    Raises:
        UnknownNameError: There is none; near misses are suggested.
    """
    schemes = {scheme.name: scheme for scheme in all_schemes()}
    if name not in schemes:
        raise UnknownNameError("quantization scheme", name, schemes)
    return schemes[name]


def is_float(weight: WeightType) -> bool:
    """Tell whether a weight in a format is one float, without codes and scales."""
    return isinstance(weight, QuantizationScheme) and weight.group_size == 1


def float_schemes() -> tuple[QuantizationScheme, ...]:
    """Return the schemes in which a weight is one float: the forms of unquantized checkpoints."""
    return tuple(scheme for scheme in all_schemes() if is_float(scheme))


def find_float_scheme(dtype: np.dtype[Any]) -> QuantizationScheme | None:
    """Return the scheme whose weights are stored as this type, if there is one."""
    return next((each for each in float_schemes() if each.parts[0].dtype == dtype), None)
