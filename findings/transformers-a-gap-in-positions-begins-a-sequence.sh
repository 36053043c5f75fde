#!/bin/sh
# transformers 5.24.0: without an attention mask, a gap in `position_ids` cuts the sequence in two for a
# Llama, and not for a gpt-oss.
#
# Expected: `position_ids` rotate queries and keys; what a token sees is for the mask, which is causal.
# Seen:     the tokens after a gap see nothing of what is before it (they compute as if they stood alone),
#           because such positions are taken for packed sequences; with a mask of ones, or in gpt-oss,
#           they see all.
# Who:      whoever places tokens far apart (context shifting, tests of long positions) and passes no mask.
#
#   llama: without a mask the second half computes as if alone: True
#   llama: a mask of ones changes the logits: True
#   gpt_oss: without a mask the second half computes as if alone: False
#   gpt_oss: a mask of ones changes the logits: False
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$work/env/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0
cat >"$work/seen.py" <<'PYTHON'
import torch
from transformers import AutoConfig, AutoModelForCausalLM

SIZES = dict(
    vocab_size=64, hidden_size=64, intermediate_size=64, num_hidden_layers=2, head_dim=16,
    num_attention_heads=4, num_key_value_heads=2, initializer_range=0.3,
)
EXPERTS = dict(num_local_experts=4, num_experts_per_tok=2)
IDS = torch.arange(16)[None] * 7 % 60
POSITIONS = torch.tensor([[*range(8), *range(100, 108)]])

for family, more in (("llama", {}), ("gpt_oss", EXPERTS)):
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **SIZES, **more)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    with torch.no_grad():
        bare = model(IDS, position_ids=POSITIONS, use_cache=False).logits[0]
        ones = torch.ones_like(IDS)
        masked = model(IDS, attention_mask=ones, position_ids=POSITIONS, use_cache=False).logits[0]
        alone = model(IDS[:, 8:], position_ids=POSITIONS[:, 8:], use_cache=False).logits[0]
    print(f"{family}: without a mask the second half computes as if alone:",
          torch.allclose(bare[8:], alone, atol=1e-3))
    print(f"{family}: a mask of ones changes the logits:", not torch.allclose(bare, masked, atol=1e-3))
PYTHON
"$work/env/bin/python" "$work/seen.py" 2>"$work/log" >"$work/seen" || { cat "$work/log" >&2; exit 1; }
grep '^#   [a-z_]*: .*: [TF]' "$0" | sed 's/^#   //' | diff - "$work/seen"
