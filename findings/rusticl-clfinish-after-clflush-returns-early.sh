#!/bin/sh
# rusticl of Mesa 22.3.6 (Debian 12, 22.3.6-1+deb12u2): after clFlush, clFinish returns while kernels run.
#
# Expected: clFinish blocks until all commands of the queue have completed (OpenCL 3.0, 5.15).
# Seen:     it waits only for what it hands over itself. What clFlush has handed over before still runs, and
#           the event says so; what the host writes or frees then meets a running kernel. A marker
#           behind the clFlush makes clFinish wait.
# Who:      hosts that begin work with clFlush, do something else, and then wait.
# Needs:    Debian 12 on amd64, with lists of packages; they are unpacked in the folder, not installed.
#
#   clFinish: the kernel is complete
#   clFlush, clFinish: the kernel is not complete
#   clFlush, a marker, clFinish: the kernel is complete
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/debs" "$work/root"
apt-cache depends --recurse --important mesa-opencl-icd python3 ocl-icd-libopencl1 |
    grep '^[a-z]' | sort -u | sed 's/^mesa-opencl-icd$/&=22.3.6-1+deb12u2/' >"$work/packages"
(cd "$work/debs" && xargs apt-get download --quiet <"$work/packages") >"$work/log" 2>&1 ||
    { cat "$work/log" >&2; exit 1; }
for deb in "$work/debs"/*.deb; do dpkg -x "$deb" "$work/root"; done
cat >"$work/root/seen.py" <<'PYTHON'
import ctypes
from ctypes import byref, c_int, c_size_t, c_uint, c_void_p

CL = ctypes.CDLL("libOpenCL.so.1")
ALL_DEVICES, READ_WRITE = ctypes.c_ulong(0xFFFFFFFF), ctypes.c_ulong(1)
EXECUTION_STATUS, COMPLETE = 0x11D3, 0
ITEMS, STEPS = 4096, 100_000  # a quarter of a second on two cores
SOURCE = b"""
__kernel void iterate(__global float* y, int steps) {
  float value = y[get_global_id(0)];
  for (int i = 0; i < steps; ++i) value = value * 0.5f + 1.0f;
  y[get_global_id(0)] = value;
}
"""


def call(function, *arguments):
    status = getattr(CL, function)(*arguments)
    assert status == 0, (function, status)


def made(function, *arguments):
    create, status = getattr(CL, function), c_int()
    create.restype = c_void_p
    handle = c_void_p(create(*arguments, byref(status)))
    assert status.value == 0, (function, status)
    return handle


platform, device = c_void_p(), c_void_p()
call("clGetPlatformIDs", 1, byref(platform), None)
call("clGetDeviceIDs", platform, ALL_DEVICES, 1, byref(device), None)
context = made("clCreateContext", None, 1, byref(device), None, None)
source = byref(ctypes.c_char_p(SOURCE))
program = made("clCreateProgramWithSource", context, 1, source, None)
call("clBuildProgram", program, 1, byref(device), b"", None, None)
queue = made("clCreateCommandQueue", context, device, ctypes.c_ulong(0))
y = made("clCreateBuffer", context, READ_WRITE, c_size_t(4 * ITEMS), None)
kernel = made("clCreateKernel", program, b"iterate")
call("clSetKernelArg", kernel, c_uint(0), c_size_t(8), byref(y))
call("clSetKernelArg", kernel, c_uint(1), c_size_t(4), byref(c_int(STEPS)))


def show(*calls):
    event, status, items, group = c_void_p(), c_int(), (c_size_t * 1)(ITEMS), (c_size_t * 1)(64)
    launch = kernel, c_uint(1), None, items, group, 0, None, byref(event)
    call("clEnqueueNDRangeKernel", queue, *launch)
    for function in calls:
        more = (0, None, None) if "Marker" in function else ()
        call(function, queue, *more)
    call("clGetEventInfo", event, EXECUTION_STATUS, c_size_t(4), byref(status), None)
    names = ", ".join("a marker" if "Marker" in function else function for function in calls)
    print(f"{names}: the kernel is {'' if status.value == COMPLETE else 'not '}complete")
    call("clWaitForEvents", 1, byref(event))


show("clFinish")
show("clFlush", "clFinish")
show("clFlush", "clEnqueueMarkerWithWaitList", "clFinish")
PYTHON
mkdir -p "$work/root/proc" "$work/root/sys" "$work/root/dev" "$work/root/tmp"
unshare --map-root-user --mount sh -c '
    for each in proc sys dev; do mount --rbind "/$each" "$0/$each"; done
    exec env -i PATH=/usr/sbin:/usr/bin RUSTICL_ENABLE=llvmpipe \
        OCL_ICD_VENDORS=/etc/OpenCL/vendors/rusticl.icd chroot "$0" python3 /seen.py
' "$work/root" 2>"$work/log" >"$work/seen" || { cat "$work/log" >&2; exit 1; }
grep '^#   cl' "$0" | sed 's/^#   //' | diff - "$work/seen"
