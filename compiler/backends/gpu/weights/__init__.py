"""How GPUs' kernels read the weights of each scheme: one file a scheme, named as it."""

import importlib
import pkgutil
from functools import cache

from ossc.compiler.backends.gpu.weights.format import WordFormat
from ossc.targets.errors import LoweringError


@cache
def _formats() -> dict[str, WordFormat]:
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    formats = [module.FORMAT for module in modules if hasattr(module, "FORMAT")]
    return {each.scheme: each for each in formats}


def find_format(scheme: str) -> WordFormat:
    """Return how weights of a scheme are read.

    Raises:
        LoweringError: GPUs have no kernels for it.
    """
    formats = _formats()
    if scheme not in formats:
        raise LoweringError(
            f"GPUs have no kernels for weights in the scheme {scheme!r}; choose one of "
            f"{', '.join(sorted(formats))} for it with --quant."
        )
    return formats[scheme]
