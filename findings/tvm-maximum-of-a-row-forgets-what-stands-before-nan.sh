#!/bin/sh
# apache-tvm 0.27.0.post1: the maximum of a row that holds NaN is the maximum of what stands behind the NaN.
#
# Expected: NaN, as in NumPy, torch and ONNX; or the NaN is left out, as fmax does. The maximum of
#           5, NaN and 1 is NaN or 5.
# Seen:     1: LLVM's code is `a > b ? a : b`, which takes the second operand where one is NaN, so the NaN
#           replaces the 5, and the 1 replaces the NaN. For the same reason max(x, 0), which is
#           topi.nn.relu, makes 0 of NaN, and max(0, x) keeps it; sums keep it always.
# Who:      softmax, quantization and attention masks: a NaN passes for a finite number, or takes with
#           it the largest of a row.
#
#   max of 5, nan, 1 is 1.0
#   max of nan, 5, 1 is 5.0
#   max of 1, 5, nan is nan
#   min of 5, nan, 7 is 7.0
#   sum of 5, nan, 1 is nan
#   relu of nan is 0.0
#   maximum(x, 0) of nan is 0.0
#   maximum(0, x) of nan is nan
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check \
    apache-tvm==0.27.0.post1 apache-tvm-ffi==0.1.15.post2 numpy==2.4.6
cat >"$work/seen.py" <<'PYTHON'
import numpy as np
import tvm
from tvm import te, tirx, topi

NAN = float("nan")
ZERO = tirx.const(0.0, "float32")


def show(name, function, *values):
    x = te.placeholder((len(values),), "float32", name="x")
    made = te.create_prim_func([x, function(x)])
    built = tvm.compile(made, target=tvm.target.Target({"kind": "llvm"}))
    y = tvm.runtime.tensor(np.zeros(1, np.float32))
    built(tvm.runtime.tensor(np.array(values, np.float32)), y)
    print(name, "of", ", ".join(f"{value:g}" for value in values), "is", y.numpy()[0])


def reduced(reduction):
    return lambda x: reduction(x, axis=0, keepdims=True)


show("max", reduced(topi.max), 5, NAN, 1)
show("max", reduced(topi.max), NAN, 5, 1)
show("max", reduced(topi.max), 1, 5, NAN)
show("min", reduced(topi.min), 5, NAN, 7)
show("sum", reduced(topi.sum), 5, NAN, 1)
show("relu", topi.nn.relu, NAN)
show("maximum(x, 0)", lambda x: topi.maximum(x, ZERO), NAN)
show("maximum(0, x)", lambda x: topi.maximum(ZERO, x), NAN)
PYTHON
"$work/env/bin/python" "$work/seen.py" 2>"$work/log" >"$work/seen" || { cat "$work/log" >&2; exit 1; }
sed -n 's/^#   \([^ ]\)/\1/p' "$0" | grep ' of .* is [0-9an.]*$' | diff - "$work/seen"
