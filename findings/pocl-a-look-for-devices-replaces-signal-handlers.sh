#!/bin/sh
# PoCL 3.1 (Debian 12, 3.1-3+deb12u1): clGetDeviceIDs replaces the process's signal handlers.
#
# Expected: looking for devices leaves the handlers as they were, and a program's own handler of SIGUSR1 runs.
# Expected: looking for devices leaves the handlers as they were, and a program's own for SIGUSR1 runs.
#           by those of LLVM. A SIGUSR1 is swallowed: LLVM's handler does nothing. At a SIGINT LLVM puts the
#           old ones back, and from then on SIGUSR1 is heard again.
# Who:      programs that rotate logs or dump stacks at SIGUSR1, or have faulthandler report a SIGSEGV, and do
#           no more than list OpenCL devices.
# Needs:    Debian 12 on amd64, with lists of packages; they are unpacked in the folder, not installed.
#
#   at first: a handler of SIGUSR1 runs
#   after clGetDeviceIDs: a handler of SIGUSR1 does not run
#   replaced: HUP INT QUIT ILL TRAP ABRT BUS FPE USR1 SEGV USR2 TERM XCPU XFSZ SYS
#   after a SIGINT: a handler of SIGUSR1 runs
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/debs" "$work/root"
apt-cache depends --recurse --important pocl-opencl-icd python3 ocl-icd-libopencl1 |
    grep '^[a-z]' | sort -u | sed 's/^pocl-opencl-icd$/&=3.1-3+deb12u1/' >"$work/packages"
(cd "$work/debs" && xargs apt-get download --quiet <"$work/packages") >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
for deb in "$work/debs"/*.deb; do dpkg -x "$deb" "$work/root"; done
cat >"$work/root/seen.py" <<'PYTHON'
import ctypes
import os
import signal
from ctypes import byref, c_void_p

ALL_DEVICES = ctypes.c_ulong(0xFFFFFFFF)
CL, C = ctypes.CDLL("libOpenCL.so.1"), ctypes.CDLL(None)
seen = []


class Sigaction(ctypes.Structure):  # struct sigaction of glibc on 64-bit Linux
    _fields_ = [
        ("handler", c_void_p),
        ("mask", ctypes.c_ubyte * 128),
        ("flags", ctypes.c_int),
        ("restorer", c_void_p),
    ]


def handlers():
    found = {}
    for number in sorted(set(signal.Signals)):
        action = Sigaction()
        C.sigaction(int(number), None, byref(action))
        found[number.name] = action.handler
    return found


def show(when):
    seen.clear()
    os.kill(os.getpid(), signal.SIGUSR1)
    runs = "runs" if seen == [signal.SIGUSR1] else "does not run"
    print(f"{when}: a handler of SIGUSR1 {runs}")


for number in (signal.SIGUSR1, signal.SIGINT):
    signal.signal(number, lambda number, _: seen.append(number))
before = handlers()
show("at first")
platform, device = c_void_p(), c_void_p()
assert CL.clGetPlatformIDs(1, byref(platform), None) == 0
assert CL.clGetDeviceIDs(platform, ALL_DEVICES, 1, byref(device), None) == 0
show("after clGetDeviceIDs")
after = handlers()
print("replaced:", *(name.removeprefix("SIG") for name in after if after[name] != before[name]))
os.kill(os.getpid(), signal.SIGINT)
show("after a SIGINT")
PYTHON
mkdir -p "$work/root/proc" "$work/root/sys" "$work/root/dev" "$work/root/tmp"
unshare --map-root-user --mount sh -c '
    for each in proc sys dev; do mount --rbind "/$each" "$0/$each"; done
    exec env -i PATH=/usr/sbin:/usr/bin POCL_CACHE_DIR=/tmp/cache \
        OCL_ICD_VENDORS=/etc/OpenCL/vendors/pocl.icd chroot "$0" python3 /seen.py
' "$work/root" 2>"$work/log" >"$work/seen" || { cat "$work/log" >&2; exit 1; }
grep -E '^#   (at first|after|replaced)' "$0" | sed 's/^#   //' | diff - "$work/seen"
