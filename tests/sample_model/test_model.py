"""The fast forward against transformers' own, in float32."""

import pytest
import torch
import torch.nn.functional as F
from transformers import GptOssForCausalLM

from sample_model.config import sample_config
from sample_model.cross_entropy import linear_cross_entropy
from sample_model.model import forward, forward_body
from sample_model.mxfp4 import quantize_dequantize

RELATIVE_ERROR = 1e-5
"""Float32 sums in another order; seen: 1.6e-6 for gradients."""


@pytest.fixture
def model() -> GptOssForCausalLM:
    """Return a small model whose every feature changes the result: clamps, sinks, biases."""
    torch.manual_seed(0)
    config = sample_config()
    config.swiglu_limit = 1.0
    model = GptOssForCausalLM(config).float()
    for name, parameter in model.named_parameters():
        if name.endswith(("bias", "sinks")):
            torch.nn.init.normal_(parameter, std=0.5)
    return model


def relative_error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())


def test_logits_are_those_of_transformers(model):
    input_ids = torch.randint(model.config.vocab_size, (2, 192))
    with torch.no_grad():
        wanted = model(input_ids).logits
        got, _ = forward(model, input_ids)
    assert relative_error(got, wanted) < RELATIVE_ERROR


def test_router_logits_choose_the_experts_of_transformers(model):
    input_ids = torch.randint(model.config.vocab_size, (1, 128))
    with torch.no_grad():
        wanted = model(input_ids, output_router_logits=True).router_logits
        _, got = forward(model, input_ids)
    for ours, theirs in zip(got, wanted, strict=True):
        assert relative_error(ours, theirs) < RELATIVE_ERROR


def test_gradients_are_those_of_transformers(model):
    windows = torch.randint(model.config.vocab_size, (2, 193))
    targets = windows[:, 1:].flatten()
    logits = model(windows[:, :-1]).logits
    F.cross_entropy(logits.flatten(0, 1), targets).backward()
    wanted = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    hidden, _ = forward_body(model, windows[:, :-1])
    linear_cross_entropy(hidden.flatten(0, 1), model.lm_head.weight, targets).backward()
    for name, parameter in model.named_parameters():
        assert relative_error(parameter.grad, wanted[name]) < RELATIVE_ERROR, name


def test_quantized_forward_is_the_model_with_mxfp4_values(model):
    input_ids = torch.randint(model.config.vocab_size, (1, 64))
    with torch.no_grad():
        got, _ = forward(model, input_ids, quantize=True)
        plain, _ = forward(model, input_ids)
        for layer in model.model.layers:
            experts = layer.mlp.experts
            experts.gate_up_proj.copy_(quantize_dequantize(experts.gate_up_proj))
            experts.down_proj.copy_(quantize_dequantize(experts.down_proj))
        wanted = model(input_ids).logits
    assert relative_error(got, wanted) < RELATIVE_ERROR
    assert relative_error(plain, wanted) > 100 * RELATIVE_ERROR
