"""CPUs with the 64-bit RISC-V instruction set, on Linux: RV64GC, with and without vectors.

glibc has known them since 2.27. qemu-user 7.2 has no CPU ``max`` of this architecture.
"""

from collections.abc import Sequence

from ossc.targets.target import CpuDevice, Host, Target


def _host(cpu_features: tuple[str, ...], attributes: Sequence[str], qemu_cpu: str) -> Host:
    return Host(
        arch="riscv64",
        cpu_features=cpu_features,
        tvm_target={
            "kind": "llvm",
            "mtriple": "riscv64-linux-gnu",
            "mcpu": "generic-rv64",
            "mattr": ["+m", "+a", "+f", "+d", "+c", *attributes],
            "mabi": "lp64d",
        },
        zig_static="riscv64-linux-musl",
        zig_shared="riscv64-linux-gnu.2.27",
        kernel_isa="portable",
        qemu_cpu=qemu_cpu,
    )


TARGETS = (
    Target(
        name="cpu:riscv64-v",
        summary="64-bit RISC-V with the vectors of RVV 1.0, portable kernels",
        kind="cpu",
        verified="emulated",
        prefill_chunk=128,
        host=_host(("v",), ("+v", "+zvl128b"), "rv64,v=true,vlen=128,vext_spec=v1.0"),
        device=CpuDevice(),
    ),
    Target(
        name="cpu:riscv64",
        summary="64-bit RISC-V (RV64GC), portable kernels: what Linux distributions run on",
        kind="cpu",
        verified="emulated",
        prefill_chunk=128,
        host=_host((), (), "rv64"),
        device=CpuDevice(),
    ),
)
"""The better target comes first."""
