"""The product with a token's experts, and its gradient, one expert after the other.

All rows of one expert fit into the cache together with its weights; autograd over the whole
batch would move every intermediate through memory, which takes several times as long on a CPU.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssExperts

from sample_model.mxfp4 import fake_quantize


@dataclass(frozen=True)
class Dispatch:
    """Slots (token, choice) sorted by expert."""

    tokens: Tensor
    """Token of each sorted slot, [T*k]."""
    inverse: Tensor
    """Sorted place of each slot in token order, [T*k]."""
    counts: list[int]
    """Slots of each expert."""

    @classmethod
    def of(cls, indices: Tensor, num_experts: int) -> "Dispatch":
        """Sort the chosen experts [T, k]."""
        order = torch.argsort(indices.flatten(), stable=True)
        counts = torch.bincount(indices.flatten(), minlength=num_experts).tolist()
        return cls(order // indices.shape[1], torch.argsort(order), counts)

    def sum_slots(self, slots: Tensor, k: int) -> Tensor:
        """Return the sum over each token's k slots: sorted [T*k, H] -> [T, H]."""
        return slots[self.inverse].view(-1, k, slots.shape[1]).sum(1)


def run_experts(
    experts: GptOssExperts, x: Tensor, indices: Tensor, weights: Tensor, *, quantize: bool
) -> Tensor:
    """Return the weighted sum of each token's experts: x [T, H], indices and weights [T, k].

    ``quantize`` rounds the expert weights to MXFP4 in the forward pass only.
    """
    gate_up: Tensor = experts.gate_up_proj
    down: Tensor = experts.down_proj
    if quantize:
        gate_up, down = fake_quantize(gate_up), fake_quantize(down)
    parameters = (
        split_gate_up(gate_up),
        split_gate_up(experts.gate_up_proj_bias),
        down,
        experts.down_proj_bias,
    )
    dispatch = Dispatch.of(indices, experts.num_experts)
    with torch.autocast(x.device.type, enabled=False):
        cast = [parameter.to(x.dtype) for parameter in parameters]
        gains = experts.alpha, experts.limit
        return ExpertProduct.apply(x, weights.to(x.dtype), *cast, dispatch, gains)


def split_gate_up(interleaved: Tensor) -> Tensor:
    """Move gates (even columns) before ups (odd columns): [..., 2I] -> [..., 2I]."""
    return torch.cat([interleaved[..., ::2], interleaved[..., 1::2]], dim=-1)


class ExpertProduct(Function):
    """``sum_j weights[t, j] * expert[indices[t, j]](x[t])`` with clamped SwiGLU experts."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weights: Tensor,
        gate_up: Tensor,
        gate_up_bias: Tensor,
        down: Tensor,
        down_bias: Tensor,
        dispatch: Dispatch,
        gains: tuple[float, float],
    ) -> Tensor:
        """Return [T, H] of x [T, H]."""
        k = weights.shape[1]
        sorted_weights = torch.empty_like(weights.flatten())
        sorted_weights[dispatch.inverse] = weights.flatten()
        products, slots = [], x.new_empty(len(dispatch.tokens), x.shape[1])
        pieces = zip(
            dispatch.tokens.split(dispatch.counts),
            sorted_weights.split(dispatch.counts),
            slots.split(dispatch.counts),
            strict=True,
        )
        for e, (tokens, weight, slot) in enumerate(pieces):
            product = torch.addmm(gate_up_bias[e], x[tokens], gate_up[e])  # [n, 2I]
            hidden = swiglu(product, *gains)
            torch.mul(torch.addmm(down_bias[e], hidden, down[e]), weight[:, None], out=slot)
            products.append(product)
        ctx.save_for_backward(x, sorted_weights, gate_up, down, down_bias, *products)
        ctx.dispatch, ctx.gains = dispatch, gains
        return dispatch.sum_slots(slots, k)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, weights and the four parameters."""
        x, sorted_weights, gate_up, down, down_bias, *products = ctx.saved_tensors
        dispatch: Dispatch = ctx.dispatch
        k = len(dispatch.tokens) // len(x)
        grad_gate_up, grad_down = torch.zeros_like(gate_up), torch.zeros_like(down)
        grad_gate_up_bias = gate_up.new_zeros(len(gate_up), gate_up.shape[2])
        grad_down_bias = torch.zeros_like(down_bias)
        grad_weights = torch.empty_like(sorted_weights)
        slots = x.new_empty(len(dispatch.tokens), x.shape[1])
        pieces = zip(
            dispatch.tokens.split(dispatch.counts),
            sorted_weights.split(dispatch.counts),
            slots.split(dispatch.counts),
            grad_weights.split(dispatch.counts),
            products,
            strict=True,
        )
        for e, (tokens, weight, slot, grad_weight, product) in enumerate(pieces):
            out_grad = grad[tokens]  # [n, H]
            hidden, hidden_vjp = swiglu_with_vjp(product, *ctx.gains)
            unweighted = out_grad @ down[e].T  # [n, I]
            grad_weight.copy_((unweighted * hidden).sum(1) + out_grad @ down_bias[e])
            out_grad = out_grad * weight[:, None]
            torch.mm(hidden.T, out_grad, out=grad_down[e])
            grad_down_bias[e] = out_grad.sum(0)
            product_grad = hidden_vjp(unweighted * weight[:, None])  # [n, 2I]
            torch.mm(x[tokens].T, product_grad, out=grad_gate_up[e])
            grad_gate_up_bias[e] = product_grad.sum(0)
            torch.mm(product_grad, gate_up[e].T, out=slot)
        return (
            dispatch.sum_slots(slots, k),
            grad_weights[dispatch.inverse].view(-1, k),
            grad_gate_up,
            grad_gate_up_bias,
            grad_down,
            grad_down_bias,
            None,
            None,
        )


def swiglu(product: Tensor, alpha: float, limit: float) -> Tensor:
    """Return gpt-oss's clamped SwiGLU of [n, 2I], gates first."""
    gate, up = product.chunk(2, dim=-1)
    gate = gate.clamp(max=limit)
    return (up.clamp(-limit, limit) + 1) * gate * torch.sigmoid(gate * alpha)


def swiglu_with_vjp(product: Tensor, alpha: float, limit: float) -> tuple[Tensor, Any]:
    """Return the SwiGLU and the function from its gradient [n, I] to that of product [n, 2I]."""
    gate, up = product.chunk(2, dim=-1)
    clamped = gate.clamp(max=limit)
    sigmoid = torch.sigmoid(clamped * alpha)
    glu, linear = clamped * sigmoid, up.clamp(-limit, limit) + 1

    def vjp(grad: Tensor) -> Tensor:
        slope = sigmoid + alpha * glu * (1 - sigmoid)
        to_gate = grad * linear * slope * (gate <= limit)
        return torch.cat([to_gate, grad * glu * (up.abs() <= limit)], dim=-1)

    return linear * glu, vjp
