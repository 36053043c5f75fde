"""Every kernel becomes an object for every target: always the same one, that needs no library."""

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from kernel_operands import PAIRS
from ossc.compiler.backends.cpu.kernels.attention.attention_rows import AttentionShape
from ossc.compiler.backends.cpu.kernels.attention.rope_store import rope_store
from ossc.compiler.backends.cpu.kernels.attention.section_attention import (
    join_sections,
    section_attention,
)
from ossc.compiler.backends.cpu.kernels.attention.sink_attention import sink_attention
from ossc.compiler.backends.cpu.kernels.embedding import embedding
from ossc.compiler.backends.cpu.kernels.experts.combine_experts import combine_experts
from ossc.compiler.backends.cpu.kernels.experts.expert_linear import expert_linear
from ossc.compiler.backends.cpu.kernels.experts.expert_swiglu import expert_swiglu
from ossc.compiler.backends.cpu.kernels.experts.group_by_expert import group_by_expert
from ossc.compiler.backends.cpu.kernels.experts.router_top_k import router_top_k
from ossc.compiler.backends.cpu.kernels.products.linear import linear
from ossc.compiler.backends.cpu.kernels.products.quantize_activations import quantize_activations
from ossc.compiler.backends.cpu.kernels.rms_norm import rms_norm
from ossc.compiler.backends.cpu.objects import generate_object, write_objects
from ossc.compiler.lowering.kernel import Kernel
from ossc.runtimes.kv_type import KV_TYPES
from ossc.targets import Target, all_targets, find_target

ATTENTION = AttentionShape(num_heads=5, num_kv_heads=1, head_dim=20, window=9, scale=0.25)
LONG = {"shape": replace(ATTENTION, window=0), "capacity": 1024}


def every_kernel(isa: str, n: int | None) -> list[Kernel]:
    """Return one of each kernel, and the products of each scheme and activation type."""
    shape = {"experts": 4, "k": 2, "n": n}
    kernels = [
        rms_norm(hidden=44, epsilon=1e-5, add=True, n=n),
        quantize_activations(columns=44, rows_per_token=None, terms=1, n=n),
        router_top_k(experts=4, k=2, n=n),
        group_by_expert(experts=4, k=2, n=n),
        combine_experts(hidden=44, k=2, n=n),
    ]
    for kv in KV_TYPES:
        cache = {"shape": ATTENTION, "capacity": 64, "kv": kv, "isa": isa}
        kernels += [rope_store(**cache, n=n), sink_attention(**cache, n=n)]
    if n is None:  # they are for one token, whatever n is
        kernels += [section_attention(**LONG, kv=kv, isa=isa) for kv in KV_TYPES]
        kernels.append(join_sections(**LONG))
    schemes = ("bf16", "int4-g32", "int8-g32", "mxfp4")
    kernels += [embedding(scheme=scheme, vocab=9, hidden=64, n=n) for scheme in schemes]
    for scheme, activation in PAIRS:
        types = {"scheme": scheme, "activation": activation, "isa": isa}
        sizes = {"hidden": 64, "intermediate": 32}
        kernels += [
            linear(**types, rows=12, columns=64, bias=True, n=n),
            expert_linear(**types, **shape, **sizes),
            expert_swiglu(**types, **shape, **sizes, alpha=1.7, limit=7.0),
        ]
    return kernels


def object_files(target: Target, folder: Path) -> list[bytes]:
    """Compile every kernel, for calls of any number of tokens."""
    kernels = {kernel.name: kernel for kernel in every_kernel(target.kernel_isa, None)}
    (objects,) = write_objects(kernels, {}, replace(target, instruction_sets=()), folder)
    assert objects.symbols == {name: name for name in kernels}
    assert len(objects.paths) == len(kernels)
    return [path.read_bytes() for path in objects.paths]


@pytest.mark.slow
@pytest.mark.parametrize("target", all_targets(), ids=lambda target: target.name)
def test_objects_are_the_same_each_time_and_need_no_library(target, tmp_path):
    files = object_files(target, tmp_path)
    data = b"\0".join(files)
    for function in (b"expf", b"fmaf", b"roundeven", b"sqrt", b"pow", b"memcpy"):
        assert not re.search(rb"\0\w*" + function + rb"\w*\0", data), function
    if target.name == "cpu:x86-64-v3":
        assert object_files(target, tmp_path) == files


def test_each_symbol_has_an_object_for_its_own_instruction_set(tmp_path):
    def generate(symbol, _function, tvm_target):
        return f"{symbol} {tvm_target.attrs['mcpu']}".encode()

    target = find_target("cpu:x86-64-v3")
    kernels = {kernel.name: kernel for kernel in every_kernel("avx2", 1)}
    base, *others = write_objects(kernels, {}, target, tmp_path, generate)
    assert [each.needs for each in (base, *others)] == [None, *target.instruction_sets]
    for each in (base, *others):
        cpu = (each.needs or target).tvm_target["mcpu"]
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
        kernels.append(sink_attention(shape=shape, capacity=64, kv="f32", n=1, isa="avx2"))
    names = [kernel.name for kernel in kernels]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch(r"[a-z]\w*", name) for name in names)
