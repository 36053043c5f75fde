"""Every kernel that the CPU's operations call comes from one list."""

import ast
from pathlib import Path

import pytest

from ossc.compiler.backends.cpu import operations
from ossc.compiler.backends.cpu.kernel_table import KERNELS
from ossc.compiler.backends.cpu.kernels.attention.attention import attention
from ossc.compiler.backends.cpu.kernels.attention.attention_shape import AttentionShape
from ossc.compiler.backends.cpu.kernels.attention.section_attention import section_attention
from ossc.compiler.backends.cpu.kernels.products.linear import linear
from ossc.compiler.lowering.choice import Request
from ossc.compiler.lowering.kernel import Kernel
from ossc.targets.errors import LoweringError


def attention_request(rows: int | None, window: int, capacity: int) -> Request:
    shape = AttentionShape(
        num_heads=4, num_kv_heads=2, head_dim=32, window=window, scale=1.0, sinks=True
    )
    parameters = {"shape": shape, "capacity": capacity}
    return Request(operation="Attention", rows=rows, parameters=parameters)


@pytest.mark.parametrize(
    ("rows", "window", "capacity", "build"),
    [
        (1, 0, 513, section_attention),
        (1, 0, 512, attention),
        (1, 530, 1024, section_attention),
        (1, 128, 1024, attention),
        (None, 0, 1024, attention),
    ],
)
def test_one_token_that_sees_many_keys_has_them_in_sections(rows, window, capacity, build):
    assert KERNELS.choose(attention_request(rows, window, capacity)) is build


def linear_request(scheme: str, activation: str) -> Request:
    return Request(operation="Linear", rows=1, scheme=scheme, activation=activation)


@pytest.mark.parametrize("pair", [("bf16", "f32"), ("mxfp4", "f32"), ("mxfp4", "int8x2")])
def test_codes_meet_integers_and_floats_meet_floats(pair):
    assert KERNELS.choose(linear_request(*pair)) is linear


def test_floats_that_meet_integers_are_refused():
    refusal = r"Linear of bf16 weights with int8 activations for 1 row; there is linear \("
    with pytest.raises(LoweringError, match=refusal):
        KERNELS.choose(linear_request("bf16", "int8"))


def test_no_operation_takes_a_kernel_past_the_list():
    modules = {candidate.build.__module__ for candidate in KERNELS.candidates}
    for file in Path(operations.__file__).parent.glob("*.py"):
        source = file.read_text(encoding="utf-8")
        imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
        assert modules.isdisjoint(f"{each.module}" for each in imports), file
        assert "segment.kernel(" not in source, file


def test_every_candidate_builds_kernels():
    for candidate in KERNELS.candidates:
        build = getattr(candidate.build, "__wrapped__", candidate.build)
        assert build.__annotations__["return"] is Kernel
