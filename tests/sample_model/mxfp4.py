"""The MXFP4 rounding that training sees, in torch.

It is the rounding of ``ossc.compiler.quantization.mxfp4``, which writes the checkpoint: the scale
of a block of 32 is the exponent of its largest magnitude less 2, magnitudes above 6 scales become
6, ties go to the even code. ``test_mxfp4.py`` holds the two equal.
"""

import torch
from torch import Tensor

BLOCK_SIZE = 32
"""Elements along the input dimension that share one scale."""

LARGEST = 6.0
"""The largest E2M1 value."""


def quantize_dequantize(weight: Tensor) -> Tensor:
    """Round float32 [..., K, N], blocks along K, to the nearest MXFP4 values."""
    blocks = weight.unflatten(-2, (-1, BLOCK_SIZE))  # [..., K/32, 32, N]
    largest = blocks.abs().amax(dim=-2, keepdim=True)
    exponent = (torch.frexp(largest).exponent - 3).clamp(min=-127)
    scale = torch.ldexp(torch.ones_like(largest), exponent)
    return (round_to_e2m1(blocks / scale) * scale).flatten(-3, -2)


def round_to_e2m1(x: Tensor) -> Tensor:
    """Round to 0, 0.5, 1, 1.5, 2, 3, 4 or 6 with sign.

    The spacing of the codes is 0.5 below 2, 1 below 4, then 2; ties go to the even multiple of
    the spacing, which is the even code.
    """
    magnitude = x.abs()
    step = torch.where(magnitude < 2, 0.5, torch.where(magnitude < 4, 1.0, 2.0))
    return (torch.round(x / step) * step).clamp(-LARGEST, LARGEST)


def fake_quantize(weight: Tensor) -> Tensor:
    """Return the MXFP4 values of a weight, with the gradient of the identity."""
    return weight + (quantize_dequantize(weight.detach()) - weight.detach())
