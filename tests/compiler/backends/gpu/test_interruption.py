"""Ctrl-C does after the code for a GPU was lowered what it did before."""

import os
import signal
import threading

import pytest
import tvm
from tvm import te

from ossc.compiler.backends.gpu.device_calls import DeviceCalls

PATIENCE_S = 5


def elementwise_module() -> tvm.IRModule:
    """Return a function whose size is no number, as Relax generates them."""
    n = te.var("n", "int64")
    x = te.placeholder((n, n), "float32", name="x")
    y = te.compute((n, n), lambda i, j: x[i, j] + x[j, i], name="y")
    return tvm.IRModule({"add": te.create_prim_func([x, y])})


def test_it_still_ends_a_system_call_that_waits():
    """Otherwise the call is begun again, and returns when there is something to read."""
    # as at the start of a process: drivers that other tests load change it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    DeviceCalls(language="opencl", suffix="cl").schedule(elementwise_module())
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
