#!/bin/sh
# nvidia-cuda-nvrtc-cu12 12.9.86: a kernel that says it runs with at most 128 threads gets fewer registers
# than one that says nothing or 1024, and keeps sums in memory for it.
#
# Expected: 128 threads may have up to 255 registers each, 1024 only 64; and where the second argument is left
#           out, the CUDA C++ Programming Guide takes the limit of a single block, so that (128) permits
#           what (128, 1) does.
# Seen:     for sm_80 to sm_89, (128) alone makes the compiler fit many blocks on a multiprocessor, and spill.
#           (128, 1) ends that, and so does no bound at all.
# Who:      kernels with many sums in registers; generators that write __launch_bounds__(threads), as TVM does.
#
#   sm_87 no bounds: 80 registers, 0 bytes spilled
#   sm_87 __launch_bounds__(1024): 64 registers, 8 bytes spilled
#   sm_87 __launch_bounds__(128): 47 registers, 80 bytes spilled
#   sm_87 __launch_bounds__(128, 1): 136 registers, 0 bytes spilled
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet --disable-pip-version-check nvidia-cuda-nvrtc-cu12==12.9.86
cat >"$work/seen.py" <<'PYTHON'
import ctypes
import re
import sys
from pathlib import Path

NVRTC = ctypes.CDLL(str(next(Path(sys.prefix).rglob("libnvrtc.so.12"))))
SIXTEEN_ROWS = """
extern "C" __global__ void BOUNDS multiply(float* y, const float* w, const float* x, int n) {
  float sum[16] = {};
  for (int k = 0; k < n; k += 4) {
    float4 b = *(const float4*)(x + k);
    #pragma unroll
    for (int r = 0; r < 16; ++r) {
      float4 a = *(const float4*)(w + (size_t)(r * 128 + threadIdx.x) * n + k);
      sum[r] += a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
    }
  }
  for (int r = 0; r < 16; ++r) y[r * 128 + threadIdx.x] = sum[r];
}
"""


def call(function, *arguments):
    assert getattr(NVRTC, function)(*arguments) == 0, function


def log(architecture, bounds):
    program, size = ctypes.c_void_p(), ctypes.c_size_t()
    source = SIXTEEN_ROWS.replace("BOUNDS", bounds).encode()
    call("nvrtcCreateProgram", ctypes.byref(program), source, b"multiply.cu", 0, None, None)
    options = f"--gpu-architecture={architecture}".encode(), b"--ptxas-options=--verbose"
    call("nvrtcCompileProgram", program, 2, (ctypes.c_char_p * 2)(*options))
    call("nvrtcGetProgramLogSize", program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    call("nvrtcGetProgramLog", program, text)
    return text.value.decode()


for bounds in ("", "__launch_bounds__(1024)", "__launch_bounds__(128)", "__launch_bounds__(128, 1)"):
    said = log("sm_87", bounds)
    registers = re.search(r"Used (\d+) registers", said)[1]
    spilled = re.search(r"(\d+) bytes spill stores", said)[1]
    print(f"sm_87 {bounds or 'no bounds'}: {registers} registers, {spilled} bytes spilled")
PYTHON
"$work/env/bin/python" "$work/seen.py" 2>"$work/log" >"$work/seen" || { cat "$work/log" >&2; exit 1; }
sed -n 's/^#   \(sm_87 .*\)/\1/p' "$0" | diff - "$work/seen"
