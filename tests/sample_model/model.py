"""A fast training forward of transformers' ``GptOssForCausalLM``.

The parameters are those of transformers' own module; only the computation differs: experts run
one after the other, attention goes block by block. ``test_model.py`` shows that both agree.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import GptOssForCausalLM
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssAttention, GptOssRMSNorm

from sample_model.experts import run_experts

QUERIES_AT_ONCE = 128
"""Of full attention: scores of a block of queries stay in the cache."""


def sink_attention(q: Tensor, k: Tensor, v: Tensor, sinks: Tensor, visible: Tensor) -> Tensor:
    """Return attention of a block of queries to a block of keys.

    Args:
        q: Scaled queries [..., kv_heads, group, Q, D].
        k: Keys [..., kv_heads, K, D].
        v: Values, shaped like the keys.
        sinks: [kv_heads, group]: a logit beside the keys' own, whose value is 0.
        visible: Which key a query sees, bool, broadcast to [..., kv_heads, group, Q, K].

    Returns:
        [..., kv_heads, group, Q, D].
    """
    shape = q.shape
    scores = (q.flatten(-3, -2) @ k.mT).view(*shape[:-1], k.shape[-2])
    scores = scores.masked_fill(~visible, float("-inf"))
    sink = sinks.to(q.dtype)[..., None, None].expand(*shape[:-1], 1)
    probability = torch.cat([scores, sink], dim=-1).softmax(-1)[..., :-1]
    return (probability.flatten(-3, -2) @ v).view(shape)


def full_attention(q: Tensor, k: Tensor, v: Tensor, sinks: Tensor) -> Tensor:
    """Causal attention: q [B, kv_heads, group, S, D], k and v [B, kv_heads, S, D]."""
    length, blocks = q.shape[3], []
    for begin in range(0, length, QUERIES_AT_ONCE):
        end = min(begin + QUERIES_AT_ONCE, length)
        visible = torch.ones(end - begin, end, dtype=torch.bool, device=q.device).tril(begin)
        block = q[..., begin:end, :], k[..., :end, :], v[..., :end, :]
        blocks.append(sink_attention(*block, sinks, visible))
    return torch.cat(blocks, dim=-2)


def sliding_attention(q: Tensor, k: Tensor, v: Tensor, sinks: Tensor, window: int) -> Tensor:
    """Causal attention to the last ``window`` keys; the length is a multiple of it.

    Each block of ``window`` queries sees its own keys and the block before.
    """
    batch, kv_heads, group, length, size = q.shape
    blocks = length // window

    def with_previous(x: Tensor) -> Tensor:
        own = x.view(batch, kv_heads, blocks, window, size)
        previous = F.pad(own[:, :, :-1], (0, 0, 0, 0, 1, 0))
        return torch.cat([previous, own], dim=3).transpose(1, 2)  # [B, blocks, kv_heads, 2W, D]

    queries = q.view(batch, kv_heads, group, blocks, window, size).permute(0, 3, 1, 2, 4, 5)
    visible = sliding_mask(window, blocks, q.device)
    out = sink_attention(queries, with_previous(k), with_previous(v), sinks, visible)
    return out.permute(0, 2, 3, 1, 4, 5).reshape(q.shape)


def sliding_mask(window: int, blocks: int, device: torch.device) -> Tensor:
    """Return which key of [block before, own block] is visible, bool [blocks, 1, 1, W, 2W]."""
    query = torch.arange(window, device=device)[:, None]
    key = torch.arange(-window, window, device=device)[None]
    visible = ((key <= query) & (key > query - window)).repeat(blocks, 1, 1)
    visible[0, :, :window] = False
    return visible[:, None, None]


def attend(attention: GptOssAttention, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Return the attention block's output for x [B, S, H]."""
    batch, length, _ = x.shape
    group = attention.num_key_value_groups

    def heads(projection: torch.nn.Module) -> Tensor:
        return projection(x).view(batch, length, -1, attention.head_dim).transpose(1, 2)

    q = rotate(heads(attention.q_proj), cos, sin) * attention.scaling
    q = q.unflatten(1, (-1, group))  # [B, kv_heads, group, S, D]
    k, v = rotate(heads(attention.k_proj), cos, sin), heads(attention.v_proj).contiguous()
    sinks = attention.sinks.view(-1, group)
    if attention.sliding_window is None:
        out = full_attention(q, k, v, sinks)
    else:
        out = sliding_attention(q, k, v, sinks, attention.sliding_window)
    return attention.o_proj(out.flatten(1, 2).transpose(1, 2).reshape(batch, length, -1))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Apply half-split RoPE to x [B, heads, S, head_dim] with cos, sin [S, head_dim/2]."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def forward_body(
    model: GptOssForCausalLM, input_ids: Tensor, *, quantize: bool = False
) -> tuple[Tensor, list[Tensor]]:
    """Return the head's input [B, S, H] and per layer router logits [B*S, E] of input_ids [B, S].

    ``quantize`` rounds the experts to MXFP4 in the forward pass only. S is a multiple of the
    sliding window.
    """
    body = model.model
    x = body.embed_tokens(input_ids)
    positions = torch.arange(input_ids.shape[1], device=input_ids.device)[None]
    cos, sin = (table[0] for table in body.rotary_emb(x.float(), positions))
    dtype = torch.get_autocast_dtype(x.device.type) if autocast_on(x) else x.dtype
    cos, sin = cos.to(dtype), sin.to(dtype)
    router_logits = []
    for layer in body.layers:
        x = x + attend(layer.self_attn, normalize(layer.input_layernorm, x, dtype), cos, sin)
        h = normalize(layer.post_attention_layernorm, x, dtype).flatten(0, 1)  # [T, H]
        logits = F.linear(h, layer.mlp.router.weight, layer.mlp.router.bias).float()
        top, indices = torch.topk(logits, layer.mlp.router.top_k, dim=-1)
        mixed = run_experts(layer.mlp.experts, h, indices, top.softmax(-1), quantize=quantize)
        x = x + mixed.view_as(x)
        router_logits.append(logits)
    return normalize(body.norm, x, dtype), router_logits


def forward(
    model: GptOssForCausalLM, input_ids: Tensor, *, quantize: bool = False
) -> tuple[Tensor, list[Tensor]]:
    """Return logits [B, S, V] and per layer router logits, as ``forward_body`` does."""
    hidden, router_logits = forward_body(model, input_ids, quantize=quantize)
    return model.lm_head(hidden), router_logits


def autocast_on(x: Tensor) -> bool:
    """Return whether autocast is active for the device of x."""
    return torch.is_autocast_enabled(x.device.type)


def normalize(norm: GptOssRMSNorm, x: Tensor, dtype: torch.dtype) -> Tensor:
    """Apply an RMSNorm module, in float32, and cast for the products that follow."""
    return F.rms_norm(x.float(), (x.shape[-1],), norm.weight, norm.variance_epsilon).to(dtype)
