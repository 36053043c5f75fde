#!/bin/sh
# transformers 5.24.0: of a config.json with both rope_parameters and rope_scaling, the older field
# wins whole, and the rope_theta of the newer one is lost.
#
# Expected: the two are merged, or the newer form wins, or a file that gives two factors is refused.
# Seen:     rope_scaling replaces rope_parameters; where it holds no rope_theta, theta becomes the
#           class default, although rope_parameters states another one. Nothing is said of it.
# Who:      files that one tool wrote in the new form and another one edited in the old form; a
#           runtime that reads the new form first computes another model than transformers.
#
#   gpt_oss yarn 4.0 150000.0
#   llama   linear 4.0 10000.0
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check transformers==5.24.0
cat >"$work/seen.py" <<'PYTHON'
from transformers import GptOssConfig, LlamaConfig

def show(name, config):
    rope = config.rope_parameters
    print(name.ljust(7), rope["rope_type"], rope["factor"], rope["rope_theta"])

yarn = {"rope_type": "yarn", "original_max_position_embeddings": 1024}
linear = {"rope_type": "linear"}
for name, kind, fields in (("gpt_oss", GptOssConfig, yarn), ("llama", LlamaConfig, linear)):
    new = {**fields, "factor": 8.0, "rope_theta": 5e4}
    show(name, kind(rope_parameters=new, rope_scaling={**fields, "factor": 4.0}))
PYTHON
"$work/env/bin/python" "$work/seen.py" 2>"$work/log" >"$work/seen" || { cat "$work/log" >&2; exit 1; }
sed -n 's/^#   \([^ ]\)/\1/p' "$0" | diff - "$work/seen"
