"""Functions with a second body, for drivers that compile OpenCL C for a CPU itself, as PoCL does.

Clang then says which CPU it is for, as in C. A driver for a GPU, or one that compiles to an
intermediate language first, as rusticl does, says none and takes what is for GPUs.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import tvm

from ossc.compiler.backends.gpu.codegen import DeviceFunction, generate_device_function
from ossc.compiler.backends.gpu.device_calls import DeviceCalls
from ossc.compiler.lowering.flatten import FlatStep

FOR_A_CPU = "defined(__x86_64__) || defined(__aarch64__)"

_SAME_IN_ALL_LANES = re.compile(r"(\(\w+(?:8|16)\))\(([^,]+)(?:, \2)+\)")
"""A vector that TVM writes lane by lane."""

_LOOKUPS = (Path(__file__).parent / "lookups.cl").read_text(encoding="utf-8")

VectorBody = Callable[[], tvm.tirx.PrimFunc]


@dataclass
class OpenClCalls(DeviceCalls):
    """Generates OpenCL C; products of one token have two bodies."""

    language: str = "opencl"
    suffix: str = "cl"

    def generate(self, call: FlatStep) -> DeviceFunction:
        """See `DeviceCalls`."""
        function = super().generate(call)
        body = call.kernel.vector_body if call.kernel else None
        return function if body is None else with_two_bodies(function, body, self.target)

    def code(self) -> dict[str, str]:
        """See `DeviceCalls`."""
        return {file: with_lookups(text) for file, text in super().code().items()}


def with_lookups(code: str) -> str:
    """Return a program with the functions of ``lookups.cl``, if it calls one."""
    return f"#if {FOR_A_CPU}\n{_LOOKUPS}#endif\n{code}" if "ossc_values_of_" in code else code


def with_two_bodies(
    function: DeviceFunction, body: VectorBody, target: tvm.target.Target
) -> DeviceFunction:
    """Return the function with another body where it is compiled for a CPU."""
    vectors = generate_device_function(function.name, body(), target)
    assert replace(vectors, source=function.source) == function, "they are launched differently"
    text = _SAME_IN_ALL_LANES.sub(r"(\1(\2))", vectors.source)
    source = f"#if {FOR_A_CPU}\n{text}#else\n{function.source}#endif\n"
    return replace(function, source=source)
