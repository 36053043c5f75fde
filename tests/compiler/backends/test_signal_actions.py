"""Ctrl-C does after code for a GPU was compiled what it did before."""

import os
import signal
import threading
from types import SimpleNamespace

import pytest
import tvm
from tvm import te

from cuda_code import require_nvrtc
from ossc.compiler.backends.cuda import backend as cuda
from ossc.compiler.backends.gpu.device_calls import DeviceCalls
from ossc.targets import find_target

PATIENCE_S = 5


def elementwise_module() -> tvm.IRModule:
    """Return a function whose size is no number, as Relax generates them."""
    n = te.var("n", "int64")
    x = te.placeholder((n, n), "float32", name="x")
    y = te.compute((n, n), lambda i, j: x[i, j] + x[j, i], name="y")
    return tvm.IRModule({"add": te.create_prim_func([x, y])})


def lower_for_a_gpu(_folder):
    """Z3 proves something of the sizes."""
    DeviceCalls(language="opencl", suffix="cl").schedule(elementwise_module())


def compile_cuda(folder):
    """NVRTC compiles on several threads."""
    require_nvrtc()
    source = 'extern "C" __global__ void NAME(float* x) { x[threadIdx.x] += 1.0f; }'
    code = {f"{name}.cubin": source.replace("NAME", name) for name in ("a", "b", "c")}
    cuda.BACKEND.emit(SimpleNamespace(code=code), find_target("cuda:sm_90"), folder, folder)


@pytest.mark.parametrize("act", [lower_for_a_gpu, compile_cuda])
def test_ctrl_c_still_ends_a_system_call_that_waits(act, tmp_path, monkeypatch):
    """Otherwise the call is begun again, and returns when there is something to read."""
    monkeypatch.setattr(cuda, "link_runtime", lambda *_: None)
    # as at the start of a process: drivers that other tests load change it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    act(tmp_path)
    reader, writer = os.pipe()
    waited = []

    def end() -> None:
        waited.append(os.write(writer, b"x"))

    timers = [threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))]
    timers.append(threading.Timer(PATIENCE_S, end))
    try:
        for timer in timers:
            timer.start()
        with pytest.raises(KeyboardInterrupt):
            os.read(reader, 1)
        assert waited == []
    finally:
        timers[1].cancel()
        timers[1].join()
        os.close(reader)
        os.close(writer)
