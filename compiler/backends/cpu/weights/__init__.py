"""How the weights of each quantization scheme are packed for the kernels and decoded by them.

One file a scheme, found by its name (``-`` becomes ``_``); its object ``FORMAT`` is a
`WeightFormat`. Rows are packed in groups of 8 so that the lanes of a vector are rows: every lane
walks along its own row, and no lane is ever added to another.
"""

from importlib import import_module
from pkgutil import iter_modules

from ossc.compiler.backends.cpu.weights.format import WeightFormat
from ossc.compiler.lowering.kernel import Activation
from ossc.runtimes.kernel_cost import JOINT
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


def find_formats(schemes: str) -> tuple[WeightFormat, ...]:
    """Return how the weights of a type such as ``mxfp4+int4-g32`` are packed, scheme by scheme.

    Raises:
        LoweringError: No kernel reads one of the schemes.
    """
    return tuple(map(find_format, schemes.split(JOINT)))


def activation_of(weights: WeightFormat, activation: Activation) -> Activation:
    """Return the type in which activations meet these weights: integers only where they have codes.

    Args:
        weights: One scheme's.
        activation: The type that the model's weights with codes meet.
    """
    return activation if weights.integer_sums else "f32"
