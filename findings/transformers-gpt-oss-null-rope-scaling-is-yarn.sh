#!/bin/sh
# transformers 5.24.0: a gpt-oss config that says "rope_scaling": null computes YaRN with factor 32.
#
# Expected: null is no scaling, as it is for Llama and as the same file means in most runtimes.
# Seen:     GptOssConfig takes its class default instead: YaRN, factor 32, over 4096 positions, and
#           keeps the rope_theta that stands beside it. Leaving the field out does the same.
# Who:      whoever writes a gpt-oss of their own with plain rotary embedding. What asks for it is
#           "rope_scaling": {"rope_type": "default", "rope_theta": …}.
#
#   gpt_oss null    yarn 32.0 10000.0
#   gpt_oss absent  yarn 32.0 10000.0
#   gpt_oss default default None 10000.0
#   llama null      default None 50000.0
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0
cat >"$work/seen.py" <<'PYTHON'
from transformers import GptOssConfig, LlamaConfig

def show(name, config):
    rope = config.rope_parameters
    print(name.ljust(15), rope["rope_type"], rope.get("factor"), rope["rope_theta"])

show("gpt_oss null", GptOssConfig(rope_theta=1e4, rope_scaling=None))
show("gpt_oss absent", GptOssConfig(rope_theta=1e4))
plain = {"rope_type": "default", "rope_theta": 1e4}
show("gpt_oss default", GptOssConfig(rope_theta=1e4, rope_scaling=plain))
show("llama null", LlamaConfig(rope_theta=5e4, rope_scaling=None))
PYTHON
"$work/env/bin/python" "$work/seen.py" 2>"$work/log" >"$work/seen" || { cat "$work/log" >&2; exit 1; }
sed -n 's/^#   \([^ ]\)/\1/p' "$0" | diff - "$work/seen"
