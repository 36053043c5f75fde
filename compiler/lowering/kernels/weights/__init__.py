"""How the weights of each quantization scheme are packed for the kernels and decoded by them.

One file a scheme, found by its name (``-`` becomes ``_``); its object ``FORMAT`` is a
`WeightFormat`. Rows are packed in groups of 8 so that the lanes of a vector are rows: every lane
walks along its own row, and no lane is ever added to another.
"""

from importlib import import_module

from ossc.compiler.lowering.kernels.weights.format import WeightFormat
from ossc.targets.errors import LoweringError


def find_format(scheme: str) -> WeightFormat:
    """Return how a scheme's weights are packed.

    Raises:
        LoweringError: No kernel reads this scheme.
    """
    module = f"{__name__}.{scheme.replace('-', '_')}"
    try:
        found: WeightFormat = import_module(module).FORMAT
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise LoweringError(
            f"No kernel reads weights of scheme {scheme!r}; "
            f"add {scheme.replace('-', '_')}.py to compiler/lowering/kernels/weights."
        ) from error
    return found
