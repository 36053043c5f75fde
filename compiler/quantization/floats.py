"""What the schemes without codes share: each weight is one float, as checkpoints store it."""

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.quantization.scheme import Part, QuantizationScheme
from ossc.targets.errors import QuantizationError


def float_scheme(*, name: str, summary: str, bits: int, type_name: str) -> QuantizationScheme:
    """Return the scheme of a float type.

    ``quantize`` rounds float32 to the type, half to even, and refuses what that would make
    infinite; ``dequantize`` widens to float32, exactly.
    """
    part = Part(name="weight", type_name=type_name)

    def quantize(weight: NDArray[np.float32]) -> tuple[NDArray[np.generic]]:
        with np.errstate(over="ignore"):
            rounded = weight.astype(part.dtype)
        if not np.isfinite(rounded).all():
            raise QuantizationError(
                f"{name} weights must be finite, and one is infinite, NaN or too large; keep it "
                "as-stored."
            )
        return (rounded,)

    def dequantize(
        weight: NDArray[np.generic], *, columns: int | None = None
    ) -> NDArray[np.float32]:
        if columns not in (None, weight.shape[-1]):
            raise QuantizationError(
                f"The {name} weight {weight.shape} does not hold rows of {columns} weights."
            )
        return weight.astype(np.float32)

    return QuantizationScheme(
        name=name,
        summary=summary,
        bits=bits,
        group_size=1,
        parts=(part,),
        part_shapes=lambda shape: (shape,),
        weight_shape=lambda shapes: shapes[0],
        quantize=quantize,
        dequantize=dequantize,
        dequantize_body="dequantized = Cast <to = 1> (weight)",
    )
