"""Shapes of tiny models that between them have everything that a gpt-oss checkpoint may have."""

import pytest

from synthetic import SyntheticShape
from synthetic.layout import FloatTypes

MXFP4_SHAPES = {
    "default": SyntheticShape(),
    "one-layer-top-1": SyntheticShape(num_hidden_layers=1, num_experts_per_tok=1),
    "three-layers-window-3": SyntheticShape(num_hidden_layers=3, sliding_window=3),
    "one-kv-head": SyntheticShape(num_attention_heads=5, num_key_value_heads=1, head_dim=20),
    "33-experts-top-3": SyntheticShape(num_local_experts=33, num_experts_per_tok=3),
    "top-4-of-5": SyntheticShape(num_local_experts=5, num_experts_per_tok=4, head_dim=6),
    "odd-sizes": SyntheticShape(hidden_size=96, intermediate_size=160, vocab_size=331),
    "full-attention": SyntheticShape(layer_types=("full_attention", "full_attention")),
    "window-1": SyntheticShape(sliding_window=1, swiglu_limit=0.75, rope_factor=1.0),
    "as-many-kv-heads": SyntheticShape(
        num_hidden_layers=3, num_key_value_heads=4, head_dim=16, sliding_window=5
    ),
    "window-150": SyntheticShape(
        hidden_size=160,
        layer_types=("sliding_attention", "sliding_attention"),
        sliding_window=150,  # longer than a prefill chunk
        head_dim=64,
        num_local_experts=3,
        num_experts_per_tok=3,
        vocab_size=517,
    ),
}

BF16_SHAPES = {
    "default": SyntheticShape(),
    "no-multiple-of-32": SyntheticShape(hidden_size=50, intermediate_size=37, head_dim=10),
    "no-multiple-of-32-but-even": SyntheticShape(
        hidden_size=50, intermediate_size=38, head_dim=10, num_local_experts=33
    ),
    "three-layers-top-3": SyntheticShape(num_hidden_layers=3, num_experts_per_tok=3),
}

FLOATS: dict[str, tuple[str, FloatTypes]] = {
    "f16": ("bf16", (("*", "F16"),)),
    "f32": ("bf16", (("*", "F32"),)),
    "mxfp4-beside-f16": ("mxfp4", (("*", "F16"),)),
    "f32-routers-and-norms": ("mxfp4", (("*router*", "F32"), ("*norm*", "F32"))),
    "f32-attention": ("mxfp4", (("*self_attn*", "F32"),)),
    "every-tensor-another": (
        "bf16",
        (
            ("*.bias", "F16"),
            ("*q_proj*", "F32"),
            ("*v_proj.weight", "F16"),
            ("*sinks", "F32"),
            ("*router.weight", "F16"),
            ("*.1.*router*", "F32"),
            ("*post_attention*", "F16"),
            ("model.norm*", "F32"),
            ("*gate_up_proj", "F16"),
            ("*down_proj*", "F32"),
            ("lm_head*", "F32"),
        ),
    ),
}
"""Layout of the experts, and types of the floats; every other one is bfloat16."""

MODELS = [
    *(pytest.param(shape, "mxfp4", id=f"mxfp4-{name}") for name, shape in MXFP4_SHAPES.items()),
    *(pytest.param(shape, "bf16", id=f"bf16-{name}") for name, shape in BF16_SHAPES.items()),
]
"""Shape and layout of the experts."""

BUNDLES = [
    *(
        pytest.param(MXFP4_SHAPES[name], "mxfp4", id=f"mxfp4-{name}")
        for name in (
            "default",
            "33-experts-top-3",
            "top-4-of-5",
            "odd-sizes",
            "as-many-kv-heads",
            "window-150",
        )
    ),
    pytest.param(
        SyntheticShape(
            num_attention_heads=5,
            num_key_value_heads=1,
            head_dim=20,
            num_experts_per_tok=1,
            sliding_window=1,
            swiglu_limit=0.75,
            rope_factor=1.0,
        ),
        "mxfp4",
        id="mxfp4-one-kv-head-top-1-window-1",
    ),
    *(
        pytest.param(BF16_SHAPES[name], "bf16", id=f"bf16-{name}")
        for name in ("default", "no-multiple-of-32")
    ),
]
"""As few as have what `MODELS` have, for tests that compile them: seconds each."""
