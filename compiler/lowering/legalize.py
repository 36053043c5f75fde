"""The Relax passes that turn a segment into a sequence of calls."""

import tvm
from tvm import relax

from ossc.targets import Target


def legalize_and_fuse(module: tvm.IRModule, target: Target) -> tvm.IRModule:
    """Turn Relax operators into TIR functions, and fuse those that follow each other.

    Kernels of ours are opaque to fusion; what remains is the arithmetic around them. A reshape
    stays as it is: the plan makes it another view of the same buffer.
    """
    passes = tvm.transform.Sequential(
        [
            relax.transform.LegalizeOps(skip_ops=["relax.reshape"]),
            relax.transform.AnnotateTIROpPattern(),
            relax.transform.FoldConstant(),
            relax.transform.FuseOps(fuse_opt_level=2),
            relax.transform.FuseTIR(),
            relax.transform.DeadCodeElimination(),
        ]
    )
    with tvm_target(target):
        return passes(module)


def tvm_target(target: Target) -> tvm.target.Target:
    """Return TVM's description of the target."""
    return tvm.target.Target(dict(target.host.tvm_target))
