"""What TVM's WGSL lacks before a browser takes it."""

import pytest

from ossc.compiler.backends.webgpu.wgsl import with_access, with_angles, with_literals

DECLARATIONS = """\
@group(0) @binding(0) var<storage, read> ids_ptr : array<i32>;
@group(0) @binding(1) var<storage, read> x_ptr : array<f32>;
@group(0) @binding(2) var<storage, read_write> y_ptr : array<f32>;
@group(0) @binding(3) var<uniform> podArgs : PODArgs;
"""


def accesses(source):
    return [line.split("<")[1].split(">")[0] for line in source.splitlines()]


def test_only_what_lies_apart_may_be_read_only():
    changed = with_access(DECLARATIONS, [True, False, False])
    assert accesses(changed) == [
        "storage, read",
        "storage, read_write",
        "storage, read_write",
        "uniform",
    ]
    assert accesses(with_access(DECLARATIONS, [True] * 3)) == accesses(DECLARATIONS)


def test_another_number_of_buffers_than_a_call_has_is_a_fault_of_ours():
    with pytest.raises(AssertionError, match="3 buffers are declared, and 2 bound"):
        with_access(DECLARATIONS, [True, False])


@pytest.mark.parametrize(
    ("source", "wgsl"),
    [
        ("v[0i] = -inff;", "v[0i] = -0x1.fffffep+127f;"),
        ("select(-inff, inff, c)", "select(-0x1.fffffep+127f, 0x1.fffffep+127f, c)"),
        ("v = -2147483648i;", "v = i32(-2147483648);"),
        ("let inffer = -214748364i;", "let inffer = -214748364i;"),
    ],
)
def test_numbers_are_written_as_wgsl_has_them(source, wgsl):
    assert with_literals(source) == wgsl


def test_angles_have_functions_of_their_own_where_there_are_any():
    changed = with_angles("let v = cos(x) + sin(y) + acos(z);")
    assert changed.startswith("let v = ossc_cos(x) + ossc_sin(y) + acos(z);\n")
    assert "fn ossc_cos(" in changed
    assert with_angles("let v = exp(x);") == "let v = exp(x);"
