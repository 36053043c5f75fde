#!/bin/sh
# torch 2.13.0: HuggingFaceStorageWriter cannot consolidate a checkpoint with a uint8 tensor.
#
# Expected: save_distributed=True, enable_consolidation=True writes one safetensors file of any
#           tensors that safetensors holds; MXFP4 blocks and scales are uint8.
# Seen:     the shards are written, and then the consolidation asks torch.finfo for the width of an
#           integer type: TypeError, wrapped in a CheckpointException, which is no Exception and
#           so passes every `except Exception`. Floats alone work.
# Who:      whoever saves a gpt-oss with its MXFP4 experts from distributed training.
#
#   bfloat16 consolidated
#   uint8 torch.finfo() requires a floating point input type
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check \
    torch==2.13.0 numpy==2.4.6 fsspec==2026.9.0 safetensors==0.8.0 huggingface_hub==2.4.0
cat >"$work/seen.py" <<'PYTHON'
import sys
from pathlib import Path

import torch
from torch.distributed import checkpoint

for dtype in (torch.bfloat16, torch.uint8):
    name = str(dtype).removeprefix("torch.")
    folder = Path(sys.argv[1]) / name
    writer = checkpoint.HuggingFaceStorageWriter(
        path=str(folder), save_distributed=True, enable_consolidation=True
    )
    tensors = {"weight": torch.ones(4, 4, dtype=dtype)}
    try:
        checkpoint.save(tensors, storage_writer=writer, no_dist=True)
    except checkpoint.CheckpointException as error:  # no Exception, but a BaseException
        cause = str(error.failures[0][0])
        wanted = "torch.finfo() requires a floating point input type"
        print(name, wanted if wanted in cause else cause)
    else:
        print(name, "consolidated" if any(folder.glob("*.safetensors")) else "not consolidated")
PYTHON
"$work/env/bin/python" "$work/seen.py" "$work/out" 2>"$work/log" >"$work/seen" ||
    { cat "$work/log" >&2; exit 1; }
sed -n 's/^#   \([^ ]\)/\1/p' "$0" | diff - "$work/seen"
