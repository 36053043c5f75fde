#!/bin/sh
# apache-tvm 0.27.0.post1: source that it generates holds other float32 constants than the function.
#
# Expected: a constant of a function has the same bits in the code, which takes nine digits.
# Seen:     OpenCL C, WGSL and C have seven digits, so a third and 2^24 - 1 become their neighbours;
#           LLVM's code of the same function is exact, so a kernel differs between devices.
# Who:      kernels with limits, thresholds or scales that are not short decimals, such as 2^24 - 1.
#
#   opencl 0.3333333432674408 is 0.3333333134651184
#   opencl 16777215.0 is 16777220.0
#   webgpu 0.3333333432674408 is 0.3333333134651184
#   webgpu 16777215.0 is 16777220.0
#   c 0.3333333432674408 is 0.3333333134651184
#   c 16777215.0 is 16777220.0
#   llvm 0.3333333432674408 is 0.3333333432674408
#   llvm 16777215.0 is 16777215.0
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check \
    apache-tvm==0.27.0.post1 apache-tvm-ffi==0.1.15.post2 numpy==2.4.6
cat >"$work/seen.py" <<'PYTHON'
import re

import numpy as np
import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T


def times(value, threads):
    builder = IRBuilder()
    with builder, T.prim_func(s_tir=True):
        T.func_name("times")
        x = T.arg("x", T.Buffer((64,), "float32"))
        y = T.arg("y", T.Buffer((64,), "float32"))
        loop = T.launch_thread("threadIdx.x", 64) if threads else T.serial(64)
        with loop as i:
            T.buffer_store(y, x[i] * tirx.const(value, "float32"), [i])
    return tvm.IRModule({"times": builder.get().with_attr("global_symbol", "times")})


def in_source(kind, value):
    host = {"host": tvm.target.Target({"kind": "llvm"})} if kind != "c" else {}
    target = tvm.target.Target({"kind": kind}, **host)
    built = tvm.tirx.build(times(value, kind != "c"), target=target)
    source = (built if kind == "c" else built.imports[0]).inspect_source()
    return float(np.float32(re.search(r"\* ([0-9.e+-]+)f", source)[1]))


def in_machine_code(value):
    built = tvm.tirx.build(times(value, False), target=tvm.target.Target({"kind": "llvm"}))
    x = tvm.runtime.tensor(np.ones(64, np.float32))
    y = tvm.runtime.tensor(np.zeros(64, np.float32))
    built["times"](x, y)
    return float(y.numpy()[0])


values = float(np.float32(1 / 3)), float(2**24 - 1)
for kind in ("opencl", "webgpu", "c"):
    for value in values:
        print(kind, value, "is", in_source(kind, value))
for value in values:
    print("llvm", value, "is", in_machine_code(value))
PYTHON
"$work/env/bin/python" "$work/seen.py" 2>"$work/log" >"$work/seen" ||
    { cat "$work/log" >&2; exit 1; }
sed -n 's/^#   \([^ ]\)/\1/p' "$0" | grep ' is ' | diff - "$work/seen"
