"""CPUs with the x86-64 instruction set, by the levels of the x86-64 psABI, on Linux.

The features of a level are given by the names that Linux uses in /proc/cpuinfo: ``pni`` is SSE3 and
``abm`` is LZCNT.
"""

from ossc.targets.target import Target

_LEVEL_2 = ("cx16", "lahf_lm", "pni", "popcnt", "sse4_1", "sse4_2", "ssse3")
_LEVEL_3 = (*_LEVEL_2, "abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe")

TARGETS = (
    Target(
        name="cpu:x86-64-v3",
        summary="x86-64 with AVX2 and FMA: Intel since Haswell (2013), AMD since Excavator (2015)",
        kind="cpu",
        arch="x86_64",
        tvm_target={"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v3"},
        zig_static="x86_64-linux-musl",
        zig_shared="x86_64-linux-gnu.2.17",
        kernel_isa="avx2",
        cpu_features=_LEVEL_3,
        prefill_chunk=128,
        verified="device",
    ),
    Target(
        name="cpu:x86-64-v2",
        summary="x86-64 with SSE4.2, portable kernels: nearly every x86-64 CPU since 2009",
        kind="cpu",
        arch="x86_64",
        tvm_target={"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "x86-64-v2"},
        zig_static="x86_64-linux-musl",
        zig_shared="x86_64-linux-gnu.2.17",
        kernel_isa="portable",
        cpu_features=_LEVEL_2,
        prefill_chunk=128,
        verified="device",
    ),
)
"""The better target comes first."""
