#!/bin/sh
# apache-tvm 0.27.0.post1: WGSL that it generates uses the third dimension of the grid for itself.
#
# Expected: a grid of workgroups has three dimensions in WebGPU, as in CUDA and OpenCL, and a kernel may use all
#           three; a kernel's arguments are those of the function.
# Seen:     a kernel with blockIdx.z is an InternalError. Every other one takes z for the part of x that is
#           beyond WebGPU's limit, and has a uniform buffer that the function has not, packGridDimX,
#           the last group in x: also where x is not used. A host that leaves it 0 runs one group of x.
# Who:      schedules for batches or heads in z; hosts that run the WGSL without TVM's own runtime.
#
#   opencl x: the group is get_group_id(0)
#   opencl z: the group is get_group_id(2)
#   webgpu x: the group is blockIdx.z * gridDim.x + blockIdx.x, bounded by podArgs.packGridDimX
#   webgpu y: the group is blockIdx.y, bounded by podArgs.packGridDimX
#   webgpu z: InternalError
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


def source(kind, axis):
    builder = IRBuilder()
    with builder, T.prim_func(s_tir=True):
        T.func_name("fill")
        y = T.arg("y", T.Buffer((8, 64), "float32"))
        with T.launch_thread(f"blockIdx.{axis}", 8) as group, T.launch_thread("threadIdx.x", 64) as i:
            T.buffer_store(y, tirx.const(1.0, "float32"), [group, i])
    module = tvm.IRModule({"fill": builder.get().with_attr("global_symbol", "fill")})
    target = tvm.target.Target({"kind": kind}, host=tvm.target.Target({"kind": "llvm"}))
    return tvm.tirx.build(module, target=target).imports[0].inspect_source()


def group(text):
    index = re.search(r"get_group_id\(\d\)|i32\((blockIdx[^)]*)\)", text)
    bound = re.search(r"if \(.* > (podArgs\.\w+)\) { return; }", text)
    return f"the group is {index[1] or index[0]}" + (f", bounded by {bound[1]}" if bound else "")


for kind, axes in (("opencl", "xz"), ("webgpu", "xyz")):
    for axis in axes:
        try:
            print(f"{kind} {axis}:", group(source(kind, axis)))
        except tvm.error.InternalError:
            print(f"{kind} {axis}: InternalError")
PYTHON
"$work/env/bin/python" "$work/seen.py" 2>"$work/log" >"$work/seen" || { cat "$work/log" >&2; exit 1; }
grep -E '^#   (opencl|webgpu)' "$0" | sed 's/^#   //' | diff - "$work/seen"
