"""How the weights of each quantization scheme are packed for the kernels and decoded by them.

One file a scheme, found by its name (``-`` becomes ``_``); its object ``FORMAT`` is a
`WeightFormat`. Rows are packed in groups of 8 so that the lanes of a vector are rows: every lane
walks along its own row, and no lane is ever added to another.
"""

from importlib import import_module
from pkgutil import iter_modules

from ossc.compiler.backends.cpu.weights.format import WeightFormat
from ossc.targets.errors import LoweringError


def find_format(scheme: str) -> WeightFormat:
    """Return how a scheme's weights are packed.

    Raises:
        LoweringError: No kernel reads this scheme.
    """
    name = scheme.replace("-", "_")
    known = {module.name for module in iter_modules(__path__)} - {"floats", "format"}
    if name not in known:
        raise LoweringError(
            f"No kernel reads weights of scheme {scheme!r}; "
            f"choose one of {', '.join(sorted(known)).replace('_', '-')}, "
            f"or add {name}.py to compiler/backends/cpu/weights."
        )
    found: WeightFormat = import_module(f"{__name__}.{name}").FORMAT
    return found
