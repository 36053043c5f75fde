"""CPUs with the 32-bit Arm instruction set of version 7, on Linux (hard-float ABI).

VFPv4 multiplies and adds with one rounding: Cortex-A5, A7, A15 and later have it, A8 and A9 do not.
64-bit CPUs that run 32-bit programs run these bundles too.

LLVM's triple has all its four parts here: of three it takes ``linux`` for the vendor and knows no
system, and calls the functions of GCC for divisions, where zig brings those of Arm's ABI alone.
"""

from ossc.targets.target import CpuDevice, Host, Target

TARGETS = (
    Target(
        name="cpu:armv7",
        summary="32-bit Arm with NEON and VFPv4, portable kernels: Cortex-A7 and later",
        kind="cpu",
        verified="emulated",
        prefill_chunk=128,
        host=Host(
            arch="armv7l",
            cpu_features=("neon", "vfpv4"),
            tvm_target={
                "kind": "llvm",
                "mtriple": "armv7a-unknown-linux-gnueabihf",
                "mattr": ["+neon", "+vfp4"],
                "mfloat-abi": "hard",
            },
            zig_static="arm-linux-musleabihf",
            zig_shared="arm-linux-gnueabihf.2.17",
            kernel_isa="portable",
            qemu_arch="arm",
        ),
        device=CpuDevice(),
    ),
)
