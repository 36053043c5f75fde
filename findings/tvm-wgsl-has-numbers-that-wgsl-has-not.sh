#!/bin/sh
# apache-tvm 0.27.0.post1: WGSL that it generates holds numbers that WGSL has not.
#
# Expected: a kernel with an infinity, or with the least int32, becomes WGSL that a browser takes, or
#           an error while it is generated.
# Seen:     `inff`, which is no literal (WGSL has none for infinity), and `-2147483648i`, which is the
#           negative of a literal beyond i32. Both are found by the browser, when a page loads.
# Who:      softmax and maxima that begin with minus infinity; keys that begin with the least integer.
#
#   float32 inf   is inff
#   float32 -inf  is -inff
#   int32 least   is -2147483648i
#   int32 next    is -2147483647i
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check \
    apache-tvm==0.27.0.post1 apache-tvm-ffi==0.1.15.post2 numpy==2.4.6
cat >"$work/seen.py" <<'PYTHON'
import re

import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T

WEBGPU = tvm.target.Target({"kind": "webgpu"}, host=tvm.target.Target({"kind": "llvm"}))


def literal(value, dtype):
    builder = IRBuilder()
    with builder, T.prim_func(s_tir=True):
        T.func_name("fill")
        y = T.arg("y", T.Buffer((64,), dtype))
        with T.launch_thread("threadIdx.x", 64) as i:
            T.buffer_store(y, tirx.const(value, dtype), [i])
    module = tvm.IRModule({"fill": builder.get().with_attr("global_symbol", "fill")})
    source = tvm.tirx.build(module, target=WEBGPU).imports[0].inspect_source()
    return re.search(r"y_ptr\[.*\] = (.*);", source)[1]


for name, value, dtype in (
    ("float32 inf  ", float("inf"), "float32"),
    ("float32 -inf ", float("-inf"), "float32"),
    ("int32 least  ", -(2**31), "int32"),
    ("int32 next   ", 1 - 2**31, "int32"),
):
    print(name, "is", literal(value, dtype))
PYTHON
"$work/env/bin/python" "$work/seen.py" 2>"$work/log" >"$work/seen" ||
    { cat "$work/log" >&2; exit 1; }
sed -n 's/^#   \([^ ]\)/\1/p' "$0" | grep ' is [-i]' | diff - "$work/seen"
