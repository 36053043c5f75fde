"""Every kernel becomes an object for every target: always the same one, that needs no library."""

import re
from dataclasses import replace

import pytest
import tvm

from kernel_operands import PAIRS
from ossc.compiler.backends.cpu.codegen import generate_code
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
from ossc.compiler.lowering.kernel import Kernel
from ossc.runtimes.kv_type import KV_TYPES
from ossc.targets import Target, all_targets

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


def object_bytes(target: Target, folder) -> bytes:
    """Compile every kernel, for calls of any number of tokens, to one object."""
    kernels = every_kernel(target.host.kernel_isa, None)
    functions = {kernel.name: kernel.func for kernel in kernels}
    module = generate_code(functions, tvm.target.Target(dict(target.host.tvm_target)))
    module.write_to_file(str(folder / "kernels.o"))
    return (folder / "kernels.o").read_bytes()


@pytest.mark.parametrize("target", all_targets(), ids=lambda target: target.name)
def test_objects_are_the_same_each_time_and_need_no_library(target, tmp_path):
    data = object_bytes(target, tmp_path)
    for function in (b"expf", b"fmaf", b"roundeven", b"sqrt", b"pow", b"memcpy"):
        assert not re.search(rb"\0\w*" + function + rb"\w*\0", data), function
    if target.name == "cpu:x86-64-v3":
        assert object_bytes(target, tmp_path) == data


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
