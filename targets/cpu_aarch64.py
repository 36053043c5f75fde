"""CPUs with the 64-bit Arm instruction set, on Linux."""

from ossc.targets.target import CpuDevice, Host, Target

TARGETS = (
    Target(
        name="cpu:aarch64",
        summary="64-bit Arm with NEON, portable kernels: every ARMv8-A CPU",
        kind="cpu",
        verified="emulated",
        prefill_chunk=128,
        host=Host(
            arch="aarch64",
            cpu_features=("asimd", "fp"),
            tvm_target={"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mattr": ["+neon"]},
            zig_static="aarch64-linux-musl",
            zig_shared="aarch64-linux-gnu.2.17",
            kernel_isa="portable",
        ),
        device=CpuDevice(),
    ),
)
