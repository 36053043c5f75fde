#!/bin/sh
# apache-tvm 0.27.0.post1: the code of a chain of bound values doubles with every step while it is compiled.
#
# Expected: a value that is bound once and used twice (v = T.Bind(u * u)) stays bound; passes take time in
#           proportion to the function.
# Seen:     s_tir's StmtSimplify, early in the pipeline of every build, writes the expression in the place
#           of each use, through the whole chain. Some twenty passes walk the copies until
#           CommonSubexprElim finds them again: what is generated is short, and building it takes twice
#           as long for each step (15 steps 2 s). One use in each step makes it grow with the square.
# Who:      powers by squaring, bit tricks that use a value twice, unrolled recurrences.
#
#   3 squarings: 18 products after StmtSimplify, 3 in C
#   6 squarings: 183 products after StmtSimplify, 6 in C
#   9 squarings: 1524 products after StmtSimplify, 9 in C
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check \
    apache-tvm==0.27.0.post1 apache-tvm-ffi==0.1.15.post2 numpy==2.4.6
cat >"$work/seen.py" <<'PYTHON'
import tvm
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script import builder as T


def chain(steps):
    builder = IRBuilder()
    with builder, T.prim_func(s_tir=True):
        T.func_name("chain")
        x = T.arg("x", T.Buffer((64,), "float32"))
        y = T.arg("y", T.Buffer((64,), "float32"))
        with T.serial(64) as i:
            value = T.Bind(x[i])
            for _ in range(steps):
                value = T.Bind(value * value)
            T.buffer_store(y, value, [i])
    return tvm.IRModule({"chain": builder.get().with_attr("global_symbol", "chain")})


for steps in (3, 6, 9):
    simplified = tvm.s_tir.transform.StmtSimplify()(chain(steps)).script()
    source = tvm.tirx.build(chain(steps), target=tvm.target.Target({"kind": "c"})).inspect_source()
    within, after = simplified.count(" * "), source.count(" * ")
    print(f"{steps} squarings: {within} products after StmtSimplify, {after} in C")
PYTHON
"$work/env/bin/python" "$work/seen.py" 2>"$work/log" >"$work/seen" || { cat "$work/log" >&2; exit 1; }
sed -n 's/^#   \([0-9] squarings\)/\1/p' "$0" | diff - "$work/seen"
