"""What has to become of TVM's WGSL before a browser takes it."""

import re
from collections.abc import Sequence

_BUFFER = re.compile(r"@group\(0\) @binding\((\d+)\) var<storage, (read|read_write)>")

_INFINITY = re.compile(r"\binff\b")

_SMALLEST = re.compile(r"(-2147483648)i\b")

_LARGEST = "0x1.fffffep+127f"
"""Of float32. WGSL has no infinity, and a shader may not rely on one."""


def with_access(source: str, apart: Sequence[bool]) -> str:
    """Return the code with buffers that lie with others writable, also where they are only read.

    Args:
        source: By TVM, which declares as ``read`` what a kernel only reads.
        apart: Whether each binding is a buffer that holds nothing that is written meanwhile.
    """
    count = len(_BUFFER.findall(source))
    assert count == len(apart), f"{count} buffers are declared, and {len(apart)} bound"

    def declared(match: re.Match[str]) -> str:
        binding, access = int(match[1]), match[2]
        new = access if apart[binding] else "read_write"
        return f"@group(0) @binding({binding}) var<storage, {new}>"

    return _BUFFER.sub(declared, source)


def with_literals(source: str) -> str:
    """Return the code with numbers as WGSL has them.

    TVM writes ``inff``, which there is not. Kernels use minus infinity as the score of a key that
    is not seen, and compare with the same; the exponential of how far the smallest number is below
    any score is 0 as well. What a row adds up before it has seen a key is multiplied by that 0 when
    it sees one. And TVM writes the smallest int32 as the opposite of a number that is too large.
    """
    return _SMALLEST.sub(r"i32(\1)", _INFINITY.sub(_LARGEST, source))


_ANGLE = re.compile(r"\b(sin|cos)\(")

_ANGLES = """
// x = turns * pi / 2 + rest, with pi / 2 in three parts of which the first has 8 bits.
fn ossc_turns(x : f32) -> vec2<f32> {
  let turns = round(x * 0.636619772f);
  var rest = fma(turns, -1.5703125f, x);
  rest = fma(turns, -4.837512969970703e-4f, rest);
  rest = fma(turns, -7.549789948768648e-8f, rest);
  return vec2<f32>(turns, rest);
}

fn ossc_small_sin(x : f32) -> f32 {
  let s = x * x;
  let series = fma(fma(-1.9515295891e-4f, s, 8.3321608736e-3f), s, -1.6666654611e-1f);
  return fma(series * s, x, x);
}

fn ossc_small_cos(x : f32) -> f32 {
  let s = x * x;
  let series = fma(fma(2.443315711809948e-5f, s, -1.388731625493765e-3f), s, 4.166664568298827e-2f);
  return fma(series * s, s, fma(s, -0.5f, 1.0f));
}

fn ossc_sin(x : f32) -> f32 {
  let reduced = ossc_turns(x);
  let quarter = i32(reduced.x) & 3i;
  let is_cos = (quarter & 1i) == 1i;
  let size = select(ossc_small_sin(reduced.y), ossc_small_cos(reduced.y), is_cos);
  return select(size, -size, quarter >= 2i);
}

fn ossc_cos(x : f32) -> f32 {
  let reduced = ossc_turns(x);
  let quarter = i32(reduced.x) & 3i;
  let is_sin = (quarter & 1i) == 1i;
  let size = select(ossc_small_cos(reduced.y), ossc_small_sin(reduced.y), is_sin);
  return select(size, -size, quarter == 1i || quarter == 2i);
}
"""
"""Sine and cosine after the Cephes library (Moshier, single/sinf.c)."""


def with_angles(source: str) -> str:
    """Return the code with sines and cosines of its own, exact to about a float32.

    Those of WGSL have to be within 2^-11, and only up to pi (section 15.7.4): SwiftShader's are
    2e-4 off, and 1e-2 for angles near 100000, which positions times frequencies are.
    """
    if not _ANGLE.search(source):
        return source
    return _ANGLE.sub(r"ossc_\1(", source) + _ANGLES
