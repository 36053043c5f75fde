"""The table of kernels that is compiled into a bundle's runtime."""

from pathlib import Path

from ossc.compiler.backends.cpu.objects import KernelObjects
from ossc.compiler.backends.cpu.toolchain import kernel_table
from ossc.targets import find_target

BEST, SECOND = find_target("cpu:x86-64-v3").host.instruction_sets


def test_the_best_variant_of_a_kernel_comes_first_and_the_base_last():
    base = KernelObjects(paths=(Path("k.o"),), symbols={"norm": "norm", "linear": "linear"})
    variants = [
        KernelObjects(paths=(Path("v.o"),), symbols={"linear": f"linear__{each.name}"}, needs=each)
        for each in (BEST, SECOND)
    ]
    table = kernel_table([base, *variants])
    entries = [line.strip() for line in table.splitlines() if line.startswith("    {")]
    assert entries == [
        '{"linear", __tvm_ffi_linear__avx512_vnni, &avx512_vnni},',
        '{"linear", __tvm_ffi_linear__avx_vnni, &avx_vnni},',
        '{"linear", __tvm_ffi_linear, NULL},',
        '{"norm", __tvm_ffi_norm, NULL},',
    ]
    assert "const size_t ossc_kernel_count = 4;" in table
    assert '"avx512_vnni", NULL};' in table
