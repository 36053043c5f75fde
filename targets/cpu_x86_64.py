"""CPUs with the x86-64 instruction set, by the levels of the x86-64 psABI, on Linux.

The features of a level are given by the names that Linux uses in /proc/cpuinfo: ``pni`` is SSE3 and
``abm`` is LZCNT.
"""

from ossc.targets.instruction_set import InstructionSet
from ossc.targets.roofline import Roofline
from ossc.targets.target import CpuDevice, Host, Target

_LEVEL_2 = ("cx16", "lahf_lm", "pni", "popcnt", "sse4_1", "sse4_2", "ssse3")
_LEVEL_3 = (*_LEVEL_2, "abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe")

_LLVM = {"kind": "llvm", "mtriple": "x86_64-linux-gnu"}

_AVX512_VNNI = InstructionSet(
    name="avx512_vnni",
    summary="AVX-512 with VNNI: Intel since Ice Lake (2019), AMD since Zen 4 (2022)",
    tvm_target={**_LLVM, "mcpu": "x86-64-v4", "mattr": ["+avx512vnni"]},
    cpu_features=("avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl", "avx512_vnni"),
    verified="device",
)
_AVX_VNNI = InstructionSet(
    name="avx_vnni",
    summary="AVX2 with VNNI: Intel since Alder Lake (2021), AMD since Zen 5 (2024)",
    tvm_target={**_LLVM, "mcpu": "x86-64-v3", "mattr": ["+avxvnni"]},
    cpu_features=("avx_vnni",),
    verified="device",
    integers_only=True,
)

_ZEN_5 = Roofline(
    source="2 cores of an AMD EPYC of family 26 (Zen 5)",
    isa="avx512_vnni",
    threads=2,
    read_gb_per_s={1 << 19: 400.0, 1 << 21: 305.0, 1 << 23: 228.0, 1 << 25: 180.0, 1 << 28: 46.0},
    f32_gflops=545.0,
    int8_gops=2180.0,
    launch_ns=350.0,
)
"""Probed by ``ossc-run --measure`` (docs/measuring.md), files being read in pages of 4 KiB. Memory
is that of both CPUs on one die; on two it gave 71 to 100 GB/s (docs/performance-log.md)."""

TARGETS = (
    Target(
        name="cpu:x86-64-v3",
        summary="x86-64 with AVX2 and FMA: Intel since Haswell (2013), AMD since Excavator (2015)",
        kind="cpu",
        verified="device",
        prefill_chunk=512,
        host=Host(
            arch="x86_64",
            cpu_features=_LEVEL_3,
            tvm_target={**_LLVM, "mcpu": "x86-64-v3"},
            zig_static="x86_64-linux-musl",
            zig_shared="x86_64-linux-gnu.2.17",
            kernel_isa="avx2",
            instruction_sets=(_AVX512_VNNI, _AVX_VNNI),
        ),
        device=CpuDevice(),
        roofline=_ZEN_5,
    ),
    Target(
        name="cpu:x86-64-v2",
        summary="x86-64 with SSE4.2, portable kernels: nearly every x86-64 CPU since 2009",
        kind="cpu",
        verified="device",
        prefill_chunk=128,
        host=Host(
            arch="x86_64",
            cpu_features=_LEVEL_2,
            tvm_target={**_LLVM, "mcpu": "x86-64-v2"},
            zig_static="x86_64-linux-musl",
            zig_shared="x86_64-linux-gnu.2.17",
            kernel_isa="portable",
        ),
        device=CpuDevice(),
    ),
)
"""The better target comes first."""
