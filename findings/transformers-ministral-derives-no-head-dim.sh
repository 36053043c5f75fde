#!/bin/sh
# transformers 5.24.0: a Ministral without `head_dim` in its config cannot be made; the class says that the
# field may be absent.
#
# Expected: hidden_size / num_attention_heads, as in MistralConfig, of which MinistralConfig is a copy with
#           `layer_types`.
# Seen:     `head_dim` stays None, and the model raises a TypeError about None and float.
# Who:      who makes a small Ministral, or reads configs and takes the class for the reference.
#
#   mistral: head_dim 16, the model is made
#   ministral: head_dim None, TypeError
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$work/env/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0
cat >"$work/seen.py" <<'PYTHON'
from transformers import AutoConfig, AutoModelForCausalLM

SIZES = dict(
    vocab_size=64, hidden_size=64, intermediate_size=64, num_hidden_layers=1,
    num_attention_heads=4, num_key_value_heads=2,
)
for family in ("mistral", "ministral"):
    config = AutoConfig.for_model(family, **SIZES)
    try:
        AutoModelForCausalLM.from_config(config)
        made = "the model is made"
    except TypeError:
        made = "TypeError"
    print(f"{family}: head_dim {config.head_dim}, {made}")
PYTHON
"$work/env/bin/python" "$work/seen.py" 2>"$work/log" >"$work/seen" || { cat "$work/log" >&2; exit 1; }
grep '^#   mini*stral: ' "$0" | sed 's/^#   //' | diff - "$work/seen"
