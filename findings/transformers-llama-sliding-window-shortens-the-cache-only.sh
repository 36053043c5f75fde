#!/bin/sh
# transformers 5.24.0: a `sliding_window` in the config of a Llama is ignored by its masks, and obeyed by
# its KV cache.
#
# Expected: LlamaConfig has no such field, so it changes nothing; or it gives the model a window.
# Seen:     one pass over the tokens is as without the field, to the last bit; token by token, as in every
#           generation, keys older than the window are gone, and the logits are others.
# Who:      everybody who copies a config of Mistral to a Llama, and every runtime that takes one pass of
#           transformers for the truth.
#
#   without the field: one pass and token by token agree
#   sliding_window 4, one pass: as without the field
#   sliding_window 4, token by token: other logits from token 4 on
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$work/env/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0
cat >"$work/seen.py" <<'PYTHON'
import torch
from transformers import LlamaConfig, LlamaForCausalLM

SIZES = dict(
    vocab_size=64, hidden_size=64, intermediate_size=64, num_hidden_layers=2,
    num_attention_heads=4, num_key_value_heads=2, initializer_range=0.3,
)
IDS = torch.arange(16)[None] * 7 % 60

@torch.no_grad()
def one_pass(model):
    return model(IDS, use_cache=False).logits[0]

@torch.no_grad()
def token_by_token(model):
    cache, rows = None, []
    for at in range(IDS.shape[1]):
        out = model(IDS[:, at : at + 1], past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        rows.append(out.logits[0, -1])
    return torch.stack(rows)

torch.manual_seed(0)
plain = LlamaForCausalLM(LlamaConfig(**SIZES)).eval()
windowed = LlamaForCausalLM(LlamaConfig(**SIZES, sliding_window=4)).eval()
windowed.load_state_dict(plain.state_dict())
expected = one_pass(plain)
agree = torch.allclose(token_by_token(plain), expected, atol=1e-3)
print("without the field: one pass and token by token", "agree" if agree else "differ")
same = torch.equal(one_pass(windowed), expected)
print("sliding_window 4, one pass:", "as without the field" if same else "other logits")
apart = (token_by_token(windowed) - expected).abs().max(dim=1).values > 0.1
first = int(apart.nonzero()[0]) if apart.any() else None
print("sliding_window 4, token by token:", "as without" if first is None else f"other logits from token {first} on")
PYTHON
"$work/env/bin/python" "$work/seen.py" 2>"$work/log" >"$work/seen" || { cat "$work/log" >&2; exit 1; }
grep -E "^#   (without the field|sliding_window)" "$0" | sed "s/^#   //" | diff - "$work/seen"
