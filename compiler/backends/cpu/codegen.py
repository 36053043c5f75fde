"""TIR → machine code: TVM's passes that our functions need, then LLVM.

TVM's own list has 49 passes, most of them for GPUs or for schedules. Those that are missing here
leave our kernels as they are, or do what LLVM does again: `CompactBufferAllocation` shrinks buffers
that have the right size already, `HoistIfThenElse`, `RenormalizeSplitPattern` and
`CommonSubexprElim` rewrite arithmetic. Together they took seven tenths of the passes' time and made
no kernel faster (docs/performance-log.md).
"""

from collections.abc import Mapping

import tvm
from tvm import s_tir, tirx


def generate_code(
    functions: Mapping[str, tvm.tirx.PrimFunc], target: tvm.target.Target
) -> tvm.runtime.Module:
    """Compile functions for a CPU.

    Args:
        functions: By C symbol, which TVM's calling convention prefixes. They do not check their
            arguments: who calls them compares those with their `Signature`.
        target: An LLVM target.

    Returns:
        A module that calls them here, or writes them as an object file. Its bytes depend only on
        the functions and the target.
    """
    module = tvm.IRModule(
        {
            tvm.ir.GlobalVar(name): function.with_attr("global_symbol", name)
            for name, function in functions.items()
        }
    )
    with_host = tirx.transform.BindTarget(target.with_host(target))
    build = tvm.get_global_func("target.build.llvm")
    return build(_passes()(with_host(module)), target)


def _passes() -> tvm.transform.Pass:
    return tvm.transform.Sequential(
        [
            # blocks and multidimensional buffers → loops and flat buffers
            s_tir.transform.CanonicalizeLoop(),
            s_tir.transform.LowerInitBlock(),
            s_tir.transform.PlanAndUpdateBufferAllocationLocation(),
            s_tir.transform.ConvertBlocksToOpaque(),
            s_tir.transform.StmtSimplify(),
            s_tir.transform.LowerOpaqueBlock(),
            tirx.transform.FlattenBuffer(),
            # what LLVM has no type for
            tirx.transform.BF16ComputeLegalize(),
            tirx.transform.VectorizeLoop(),
            tirx.transform.StorageRewrite(),
            tirx.transform.UnrollLoop(),
            tirx.transform.StmtSimplify(),
            # the calling convention
            tirx.transform.MakePackedAPI(),
            tirx.transform.SkipAssert(),  # `Signature` is compared once instead
            tirx.transform.BF16StorageLegalize(),
            tirx.transform.LowerTVMBuiltin(),
            tirx.transform.LowerIntrin(),
        ]
    )
