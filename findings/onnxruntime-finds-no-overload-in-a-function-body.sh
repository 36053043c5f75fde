#!/bin/sh
# onnxruntime 1.32.0: a model-local function with an overload runs when the graph calls it, and is not found
# when the body of another function calls it.
#
# Expected: functions are told apart by domain, name and overload (ONNX IR version 10 and later) wherever
#           they are called; onnx.checker takes both models.
# Seen:     the call from a body fails as "not a registered function/op"; without overloads it runs.
# Who:      exporters that give a function one overload for each dtype or quantization scheme.
#
#   checked: both models are valid
#   from the graph: [2.0]
#   from a body: not a registered function
#   from a body, without an overload: [2.0]
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 onnxruntime==1.32.0
cat >"$work/seen.py" <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

def function(text, overload, inner=None):
    made = onnx.parser.parse_function(
        f'<domain: "own", opset_import: ["": 21, "own": 1]> {text}'
    )
    made.overload = overload
    for node in made.node:
        if node.domain == "own":
            node.overload = inner
    return made

def model(called, overload, functions):
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [1]) for n in "xy")
    node = helper.make_node(called, ["x"], ["y"], domain="own")
    node.overload = overload
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
    graph = helper.make_graph([node], "g", [x], [y])
    return helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=10)

def run(made):
    try:
        session = onnxruntime.InferenceSession(made.SerializeToString())
    except Exception as error:
        return "not a registered function" if "not a registered function" in str(error) else error
    return session.run(None, {"x": np.ones(1, np.float32)})[0].tolist()

TWICE, OUTER = "Twice (x) => (y) { y = Add (x, x) }", "Outer (x) => (y) { y = own.Twice (x) }"
direct = model("Twice", "f32", [function(TWICE, "f32")])
nested = model("Outer", "", [function(OUTER, "", "f32"), function(TWICE, "f32")])
plain = model("Outer", "", [function(OUTER, "", ""), function(TWICE, "")])
for each in (direct, nested):
    onnx.checker.check_model(each, full_check=True)
print("checked: both models are valid")
print("from the graph:", run(direct))
print("from a body:", run(nested))
print("from a body, without an overload:", run(plain))
PYTHON
"$work/env/bin/python" "$work/seen.py" 2>"$work/log" >"$work/seen" || { cat "$work/log" >&2; exit 1; }
grep -E '^#   (checked|from)' "$0" | sed 's/^#   //' | diff - "$work/seen"
