#!/bin/sh
# apache-tvm 0.27.0.post1: after one schedule of a function with a symbolic size, Ctrl-C no longer ends
# a blocking read of the Python process.
#
# Expected: a compiler that is called as a library leaves the process's signal handlers as they were.
# Seen:     to prove something of a symbolic extent, the wheel's Z3 sets its own handler of SIGINT and puts
#           back the old one with signal(), which adds SA_RESTART. The kernel then takes up an interrupted
#           read again, and KeyboardInterrupt waits until bytes come. A split of a constant extent
#           proves without Z3, and changes nothing.
# Who:      programs that compile first and then read a pipe, a terminal or a child's output.
#
#   after import: SA_RESTART False, a read ends at SIGINT
#   after a split of 4096: SA_RESTART False, a read ends at SIGINT
#   after a split of n: SA_RESTART True, a read ends when bytes come
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check \
    apache-tvm==0.27.0.post1 apache-tvm-ffi==0.1.15.post2 numpy==2.4.6
cat >"$work/seen.py" <<'PYTHON'
import ctypes
import os
import signal
import threading
import time

import tvm
from tvm import te, tirx

SA_RESTART = 0x10000000
BYTES_AFTER = 3.0


class Sigaction(ctypes.Structure):  # struct sigaction of glibc on 64-bit Linux
    _fields_ = [
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_ubyte * 128),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    ]


def restarts():
    action = Sigaction()
    ctypes.CDLL(None).sigaction(signal.SIGINT, None, ctypes.byref(action))
    return bool(action.flags & SA_RESTART)


def read_ends():
    reader, writer = os.pipe()
    interrupt = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    write = threading.Timer(BYTES_AFTER, os.write, (writer, b"x"))
    began = time.monotonic()
    interrupt.start()
    write.start()
    try:
        os.read(reader, 1)
        return "without KeyboardInterrupt"
    except KeyboardInterrupt:
        seconds = time.monotonic() - began
    finally:
        write.cancel()
    return "at SIGINT" if seconds < BYTES_AFTER else "when bytes come"


def split(n):
    x = te.placeholder((n,), "float32", name="x")
    y = te.compute((n,), lambda i: x[i] * 2.0, name="y")
    schedule = tvm.s_tir.Schedule(te.create_prim_func([x, y]))
    (i,) = schedule.get_loops(schedule.get_sblock("y"))
    schedule.split(i, [None, 64])


def show(after):
    print(f"after {after}: SA_RESTART {restarts()}, a read ends {read_ends()}")


signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell's child ignores it
show("import")
split(4096)
show("a split of 4096")
split(tirx.Var("n", "int64"))
show("a split of n")
PYTHON
"$work/env/bin/python" "$work/seen.py" 2>"$work/log" >"$work/seen" || { cat "$work/log" >&2; exit 1; }
sed -n 's/^#   \(after .*\)/\1/p' "$0" | diff - "$work/seen"
