"""The table of kernels that is compiled into a bundle's runtime."""

import pytest

from ossc.compiler.backends.cpu.objects import KernelObjects
from ossc.compiler.backends.cpu.signature import BufferType, Signature
from ossc.compiler.backends.cpu.toolchain import kernel_table
from ossc.runtimes.plan import DType
from ossc.targets import find_target

CONSTANT = "static const ossc_kernel_"
BEST, SECOND = find_target("cpu:x86-64-v3").host.instruction_sets


ROWS = BufferType(DType.F32, (-1, 8))
BF16 = BufferType(DType.BF16, (8,))
NORM = Signature(buffers=(ROWS, BF16, ROWS), ranged=True)
LINEAR = Signature(buffers=(ROWS, ROWS), ranged=False)


def objects(needs=None, **signatures):
    """The objects of functions, by their names."""
    suffix = f"__{needs.name}" if needs else ""
    symbols = {name: f"{name}{suffix}" for name in signatures}
    return KernelObjects(paths=(), symbols=symbols, signatures=signatures, needs=needs)


def test_the_best_variant_of_a_kernel_comes_first_and_the_base_last():
    variants = [objects(each, linear=LINEAR) for each in (BEST, SECOND)]
    table = kernel_table([objects(norm=NORM, linear=LINEAR), *variants])
    entries = [line.strip() for line in table.splitlines() if line.startswith("    {")]
    assert entries == [
        '{"linear", __tvm_ffi_linear__avx512_vnni, &avx512_vnni, &signature0},',
        '{"linear", __tvm_ffi_linear__avx_vnni, &avx_vnni, &signature0},',
        '{"linear", __tvm_ffi_linear, NULL, &signature0},',
        '{"norm", __tvm_ffi_norm, NULL, &signature1},',
    ]
    assert "const size_t ossc_kernel_count = 4;" in table
    assert '"avx512_vnni", NULL};' in table


def test_what_kernels_take_is_written_once():
    table = kernel_table([objects(norm=NORM, sum=LINEAR, linear=LINEAR)])
    lines = [line.removeprefix(CONSTANT) for line in table.splitlines()]
    written = [line for line in lines if line.startswith("buffer") or "{true" in line]
    assert written == [
        "buffer buffer0 = {PLAN_F32, 2, {-1, 8}};",
        "buffer* const signature0_buffers[] = {&buffer0, &buffer0};",
        "buffer buffer1 = {PLAN_BF16, 1, {8}};",
        "buffer* const signature1_buffers[] = {&buffer0, &buffer1, &buffer0};",
        "signature signature1 = {true, 3, signature1_buffers};",
    ]


def test_variants_that_take_something_else_are_a_fault_of_ours():
    with pytest.raises(AssertionError, match="takes other buffers"):
        kernel_table([objects(norm=NORM), objects(BEST, norm=LINEAR)])
