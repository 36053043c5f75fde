"""The rounding that training sees against the toolkit's MXFP4."""

import numpy as np
import pytest
import torch

from ossc.compiler.quantization import mxfp4
from sample_model.mxfp4 import fake_quantize, quantize_dequantize


def toolkit(weight: torch.Tensor) -> torch.Tensor:
    rows = np.ascontiguousarray(weight.mT.numpy())
    return torch.from_numpy(mxfp4.dequantize(*mxfp4.quantize(rows))).mT


@pytest.mark.parametrize("spread", [0, 1, 20])
def test_random_weights_round_as_the_toolkit_rounds(spread):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 64, 50, generator=generator)
    weight *= torch.exp2(spread * torch.randn(3, 1, 50, generator=generator))
    assert torch.equal(quantize_dequantize(weight), toolkit(weight))


def test_ties_overflow_and_zero_blocks_round_as_the_toolkit_rounds():
    ties = torch.arange(-32, 32).reshape(2, 32).float() / 4
    weight = torch.cat([ties, torch.zeros(1, 32), torch.full((1, 32), 7.9)]).mT[None]
    assert torch.equal(quantize_dequantize(weight), toolkit(weight))


def test_the_gradient_is_that_of_the_identity():
    weight = torch.randn(32, 4, requires_grad=True)
    gain = torch.randn(32, 4)
    (fake_quantize(weight) * gain).sum().backward()
    assert weight.grad is not None
    assert torch.equal(weight.grad, gain)
