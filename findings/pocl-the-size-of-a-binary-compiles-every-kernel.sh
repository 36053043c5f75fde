#!/bin/sh
# PoCL 3.1 (Debian 12, 3.1-3+deb12u1): asking for the size of a program's binary compiles all its kernels.
#
# Expected: clBuildProgram compiles, once, and CL_PROGRAM_BINARY_SIZES is a question about what is there.
# Seen:     clBuildProgram leaves no machine code. The question for the size compiles and links a library for
#           each kernel (50 ms and more each), for a program of which one kernel will run; and that
#           kernel is compiled again when it is launched, for its size of group.
# Who:      programs that keep binaries in a cache of their own, and pay at the first start for all kernels.
# Needs:    Debian 12 on amd64, with lists of packages; they are unpacked in the folder, not installed.
#
#   after clBuildProgram: 0 libraries in PoCL's cache
#   after CL_PROGRAM_BINARY_SIZES: 12 libraries in PoCL's cache
#   after a launch of one kernel: 13 libraries in PoCL's cache
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
from ctypes import byref, c_int, c_size_t, c_uint, c_void_p
from pathlib import Path

CL = ctypes.CDLL("libOpenCL.so.1")
KERNELS = 12
ALL_DEVICES, READ_WRITE, BINARY_SIZES = ctypes.c_ulong(0xFFFFFFFF), ctypes.c_ulong(1), 0x1165
SOURCE = "".join(
    f"__kernel void times_{i}(__global float* y) {{ y[get_global_id(0)] *= {i}.5f; }}\n"
    for i in range(KERNELS)
)


def call(function, *arguments):
    status = getattr(CL, function)(*arguments)
    assert status == 0, (function, status)


def made(function, *arguments):
    create, status = getattr(CL, function), c_int()
    create.restype = c_void_p
    handle = c_void_p(create(*arguments, byref(status)))
    assert status.value == 0, (function, status)
    return handle


def show(after):
    libraries = len(list(Path("/tmp/cache").rglob("*.so")))
    print(f"after {after}: {libraries} libraries in PoCL's cache")


platform, device = c_void_p(), c_void_p()
call("clGetPlatformIDs", 1, byref(platform), None)
call("clGetDeviceIDs", platform, ALL_DEVICES, 1, byref(device), None)
context = made("clCreateContext", None, 1, byref(device), None, None)
source = byref(ctypes.c_char_p(SOURCE.encode()))
program = made("clCreateProgramWithSource", context, 1, source, None)
call("clBuildProgram", program, 1, byref(device), b"", None, None)
show("clBuildProgram")

size = c_size_t()
call("clGetProgramInfo", program, BINARY_SIZES, c_size_t(8), byref(size), None)
show("CL_PROGRAM_BINARY_SIZES")

queue = made("clCreateCommandQueue", context, device, ctypes.c_ulong(0))
y = made("clCreateBuffer", context, READ_WRITE, c_size_t(4 * 256), None)
kernel = made("clCreateKernel", program, b"times_0")
call("clSetKernelArg", kernel, c_uint(0), c_size_t(8), byref(y))
items, group = (c_size_t * 1)(256), (c_size_t * 1)(64)
call("clEnqueueNDRangeKernel", queue, kernel, c_uint(1), None, items, group, 0, None, None)
call("clFinish", queue)
show("a launch of one kernel")
PYTHON
mkdir -p "$work/root/proc" "$work/root/sys" "$work/root/dev" "$work/root/tmp"
unshare --map-root-user --mount sh -c '
    for each in proc sys dev; do mount --rbind "/$each" "$0/$each"; done
    exec env -i PATH=/usr/sbin:/usr/bin POCL_CACHE_DIR=/tmp/cache \
        OCL_ICD_VENDORS=/etc/OpenCL/vendors/pocl.icd chroot "$0" python3 /seen.py
' "$work/root" 2>"$work/log" >"$work/seen" || { cat "$work/log" >&2; exit 1; }
sed -n 's/^#   \(after .*\)/\1/p' "$0" | diff - "$work/seen"
