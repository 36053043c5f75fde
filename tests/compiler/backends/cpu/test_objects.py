"""Every kernel becomes an object for every target: always the same one, that needs no library."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from kernel_operands import PAIRS
from ossc.compiler.backends.cpu.kernels.attention.attention import attention
from ossc.compiler.backends.cpu.kernels.attention.attention_shape import AttentionShape
from ossc.compiler.backends.cpu.kernels.attention.rope_store import rope_store
from ossc.compiler.backends.cpu.kernels.attention.section_attention import (
    join_sections,
    section_attention,
)
from ossc.compiler.backends.cpu.kernels.embedding import embedding
from ossc.compiler.backends.cpu.kernels.experts.combine_experts import combine_experts
from ossc.compiler.backends.cpu.kernels.experts.expert_glu import expert_glu
from ossc.compiler.backends.cpu.kernels.experts.expert_linear import expert_linear
from ossc.compiler.backends.cpu.kernels.experts.group_by_expert import group_by_expert
from ossc.compiler.backends.cpu.kernels.experts.router_top_k import router_top_k
from ossc.compiler.backends.cpu.kernels.products.linear import linear
from ossc.compiler.backends.cpu.kernels.products.linear_glu import linear_glu
from ossc.compiler.backends.cpu.kernels.products.quantize_activations import quantize_activations
from ossc.compiler.backends.cpu.kernels.rms_norm import rms_norm
from ossc.compiler.backends.cpu.objects import generate_object, write_objects
from ossc.compiler.lowering.glu import Glu
from ossc.compiler.lowering.kernel import Kernel
from ossc.runtimes.kv_type import KV_TYPES
from ossc.targets import Target, all_targets, find_target

CPUS = [target for target in all_targets() if target.kind == "cpu"]

ATTENTION = AttentionShape(
    num_heads=5, num_kv_heads=1, head_dim=20, window=9, scale=0.25, sinks=True
)
WITHOUT_SINKS = replace(ATTENTION, sinks=False)
SIZES = {"hidden": 64, "intermediate": 32}
SILU = Glu(kind="silu")
SWIGLU_OSS = Glu(kind="swiglu_oss", alpha=1.7, limit=7.0)
LONG = {"shape": replace(ATTENTION, window=0), "capacity": 1024}


def every_kernel(isa: str, n: int | None) -> list[Kernel]:
    """Return one of each kernel, and the products of each scheme and activation type."""
    schemes = ("bf16", "int4-g32", "int8-g32", "mxfp4")
    return [
        rms_norm(hidden=44, epsilon=1e-5, add=True, n=n),
        quantize_activations(columns=44, rows_per_token=None, terms=1, n=n),
        router_top_k(experts=4, k=2, n=n),
        group_by_expert(experts=4, k=2, n=n),
        combine_experts(hidden=44, k=2, n=n),
        *(embedding(scheme=scheme, vocab=9, hidden=64, n=n) for scheme in schemes),
        *attention_kernels(isa, n),
        *(kernel for pair in PAIRS for kernel in product_kernels(*pair, isa, n)),
        *gated_kernels(isa, n),
    ]


def attention_kernels(isa: str, n: int | None) -> list[Kernel]:
    """Return attention for each type of cache, and once without sinks."""
    kernels = []
    for kv in KV_TYPES:
        cache = {"shape": ATTENTION, "capacity": 64, "kv": kv, "isa": isa}
        kernels += [rope_store(**cache, n=n), attention(**cache, n=n)]
    cache = {"capacity": 64, "kv": "f32", "isa": isa, "n": n}
    kernels += [
        attention(shape=WITHOUT_SINKS, **cache),
        rope_store(shape=ATTENTION, **cache, rotary_dim=10, query_scale=True),
    ]
    if n is None:  # they are for one token, whatever n is
        kernels += [section_attention(**LONG, kv=kv, isa=isa) for kv in KV_TYPES]
        without = LONG | {"shape": replace(WITHOUT_SINKS, window=0)}
        kernels.append(section_attention(**without, kv="f32", isa=isa))
        kernels += [join_sections(**LONG), join_sections(**without)]
    return kernels


def product_kernels(scheme: str, activation: str, isa: str, n: int | None) -> list[Kernel]:
    """Return the products, with biases."""
    types = {"scheme": scheme, "activation": activation, "isa": isa, "n": n, "bias": True}
    return [
        linear(**types, rows=12, columns=64),
        linear_glu(**types, **SIZES, glu=SILU),
        expert_linear(**types, **SIZES, experts=4, k=2),
        expert_glu(**types, **SIZES, experts=4, k=2, glu=SWIGLU_OSS),
    ]


def gated_kernels(isa: str, n: int | None) -> list[Kernel]:
    """Return the gated products with each gate, and those of experts, without biases."""
    types = {"scheme": "bf16", "activation": "f32", "isa": isa, "n": n, "bias": False}
    kernels = [expert_linear(**types, **SIZES, experts=4, k=2)]
    for glu in (SILU, Glu(kind="gelu"), Glu(kind="gelu_tanh"), SWIGLU_OSS):
        kernels.append(expert_glu(**types, **SIZES, experts=4, k=2, glu=glu))
        kernels.append(linear_glu(**types, **SIZES, glu=glu))
    return kernels


SHARES = {
    "cpu:x86-64-v2": slice(0, None, 4),
    "cpu:x86-64-v3": slice(0, None, 2),
    "cpu:aarch64": slice(2, None, 4),
    "cpu:armv7": slice(1, None, 32),
    "cpu:riscv64-v": slice(9, None, 32),
    "cpu:riscv64": slice(3, None, 32),
}
"""Which kernels are compiled for a target: those without bodies of their own take turns; what is
left out differs from its neighbours in the type of activations or of weights."""

LIBRARY = (b"expf", b"fmaf", b"roundeven", b"sqrt", b"pow", b"memcpy")

OF_RUNTIME = {"cpu:armv7": {b"roundeven"}}
"""What the runtime brings because the CPU has no instruction for it."""


def object_files(target: Target, folder: Path, share: slice) -> list[bytes]:
    """Compile a share of the kernels, for calls of any number of tokens."""
    known = {kernel.name: kernel for kernel in every_kernel(target.host.kernel_isa, None)}
    kernels = {name: known[name] for name in sorted(known)[share]}
    plain = replace(target, host=replace(target.host, instruction_sets=()))
    (objects,) = write_objects(kernels, {}, plain, folder)
    assert objects.symbols == {name: name for name in kernels}
    assert len(objects.paths) == len(kernels)
    return [path.read_bytes() for path in objects.paths]


@pytest.mark.slow
@pytest.mark.parametrize("target", CPUS, ids=lambda target: target.name)
def test_objects_are_the_same_each_time_and_need_no_library(target, tmp_path):
    files = object_files(target, tmp_path, SHARES[target.name])
    data = b"\0".join(files)
    for function in set(LIBRARY) - OF_RUNTIME.get(target.name, set()):
        assert not re.search(rb"\0\w*" + function + rb"\w*\0", data), function
    if target.name == "cpu:x86-64-v3":
        assert object_files(target, tmp_path, slice(0, None, 10)) == files[::5]


def test_32_bit_arm_divides_by_calls_of_its_own_abi(tmp_path):
    target = find_target("cpu:armv7")
    kernel = section_attention(**LONG, kv="f32", isa=target.host.kernel_isa)
    (objects,) = write_objects({kernel.name: kernel}, {}, target, tmp_path)
    data = objects.paths[0].read_bytes()
    assert b"__aeabi_idiv" in data
    assert b"__divsi3" not in data


def test_each_symbol_has_an_object_for_its_own_instruction_set(tmp_path):
    def generate(symbol, _function, tvm_target):
        return f"{symbol} {tvm_target.attrs['mcpu']}".encode()

    target = find_target("cpu:x86-64-v3")
    kernels = {kernel.name: kernel for kernel in every_kernel("avx2", 1)}
    base, *others = write_objects(kernels, {}, target, tmp_path, generate)
    assert [each.needs for each in (base, *others)] == [None, *target.host.instruction_sets]
    for each in (base, *others):
        cpu = (each.needs or target.host).tvm_target["mcpu"]
        read = [path.read_text() for path in each.paths]
        assert read == [f"{symbol} {cpu}" for symbol in each.symbols.values()]


def test_a_disk_that_is_full_stops_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    begun = []

    def generate(symbol, *rest):
        begun.append(symbol)
        return generate_object(symbol, *rest)

    kernels = {kernel.name: kernel for kernel in every_kernel("portable", 1)}
    with pytest.raises(OSError, match="No such file"):
        write_objects(kernels, {}, find_target("cpu:x86-64-v2"), tmp_path / "nowhere", generate)
    assert 0 < len(begun) < len(kernels) / 2


def test_names_differ_where_kernels_differ():
    kernels = [
        *every_kernel("avx2", 1),
        *every_kernel("avx2", None),
        rms_norm(hidden=44, epsilon=1e-6, add=True, n=1),
        rms_norm(hidden=44, epsilon=1e-5, add=False, n=1),
        quantize_activations(columns=44, rows_per_token=1, terms=2, n=1),
    ]
    for change in ({"scale": 0.5}, {"window": 0}):
        shape = replace(ATTENTION, **change)
        kernels.append(attention(shape=shape, capacity=64, kv="f32", n=1, isa="avx2"))
    names = [kernel.name for kernel in kernels]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]\w*", name) for name in names)
