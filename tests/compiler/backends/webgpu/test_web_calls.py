"""Calls in a browser: which buffers are read only, and how many there may be."""

import json
from dataclasses import replace

import pytest

from ossc.compiler.backends.gpu.kernels.rms_norm import rms_norm
from ossc.compiler.backends.webgpu.web_calls import WebCalls
from ossc.compiler.backends.webgpu.wgsl import with_access
from ossc.compiler.lowering.flatten import FlatStep, Operand, Storage
from ossc.runtimes.plan import DType
from ossc.targets.errors import LoweringError

KERNEL = rms_norm(hidden=64, epsilon=1e-5, add=False, n=1)


def operand(name, origin):
    return Operand(storage=Storage(name=name, origin=origin), dtype=DType.F32, shape=(1, 64))


OPERANDS = (operand("x", None), operand("weight", "weight"), operand("y", None))

CALL = FlatStep(
    symbol=KERNEL.name,
    kernel=KERNEL,
    function=KERNEL.func,
    operands=OPERANDS,
    label="model.norm",
)


def web_calls():
    return WebCalls(language="webgpu", suffix="wgsl.json")


def access_by_name(source):
    lines = [line for line in source.splitlines() if "var<storage" in line]
    return {
        line.split("> ")[1].split("_ptr")[0]: line.split(", ")[1].split(">")[0] for line in lines
    }


def test_weights_are_read_and_scratch_is_writable():
    calls = web_calls()
    step = calls.step(CALL, [0, 1, 2], "f32")
    code = json.loads(calls.code()["kernels.wgsl.json"])
    assert list(code) == [step.kernel]
    access = access_by_name(code[step.kernel])
    assert sorted(access.values()) == ["read", "read_write", "read_write"]
    assert step.code == "kernels.wgsl.json"


def test_what_two_calls_of_a_kernel_read_may_not_differ():
    calls = web_calls()
    calls.step(CALL, [0, 1, 2], "f32")
    other = replace(CALL, operands=(OPERANDS[1], OPERANDS[0], OPERANDS[2]))
    with pytest.raises(AssertionError, match="differ in what they read"):
        calls.step(other, [1, 0, 2], "f32")


def test_a_step_with_more_buffers_than_a_browser_binds_is_named(monkeypatch):
    monkeypatch.setattr("ossc.compiler.backends.webgpu.web_calls.MAX_BUFFERS", 2)
    with pytest.raises(LoweringError, match=r"model\.norm takes 3 buffers, and WebGPU binds 2"):
        web_calls().step(CALL, [0, 1, 2], "f32")


def test_the_code_is_the_same_each_time():
    first, again = web_calls(), web_calls()
    for calls in (first, again):
        calls.step(CALL, [0, 1, 2], "f32")
    assert first.code() == again.code()
    assert with_access("", []) == ""
