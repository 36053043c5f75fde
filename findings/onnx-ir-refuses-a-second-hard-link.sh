#!/bin/sh
# onnx-ir 1.1.0: external data cannot be read once its file has a second hard link.
#
# Expected: a tensor whose file lies in the model's own folder is read, however many names the file
#           has: package stores, `cp -l`, backups and deduplicating disks all make more of them.
# Seen:     ValueError that speaks of an attack; removing the other name makes it readable again.
# Who:      programs that keep weights once and link them into several folders.
#
#   one name  [0.0, 1.0, 2.0, 3.0]
#   two names ValueError multiple hard links
#   one name  [0.0, 1.0, 2.0, 3.0]
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check onnx-ir==1.1.0 numpy==2.4.6
cat >"$work/seen.py" <<'PYTHON'
import os
import sys

import numpy as np
import onnx_ir as ir

os.chdir(sys.argv[1])
np.arange(4, dtype=np.float32).tofile("weights.bin")

def show(names):
    tensor = ir.ExternalTensor(
        "weights.bin", 0, 16, ir.DataType.FLOAT, shape=ir.Shape([4]), name="w", base_dir="."
    )
    try:
        print(names.ljust(9), tensor.numpy().tolist())
    except ValueError as error:
        print(names, "ValueError", "multiple hard links" if "hard links" in str(error) else error)

show("one name")
os.link("weights.bin", "backup.bin")
show("two names")
os.unlink("backup.bin")
show("one name")
PYTHON
mkdir "$work/model"
"$work/env/bin/python" "$work/seen.py" "$work/model" 2>"$work/log" >"$work/seen" ||
    { cat "$work/log" >&2; exit 1; }
sed -n 's/^#   \([^ ]\)/\1/p' "$0" | diff - "$work/seen"
