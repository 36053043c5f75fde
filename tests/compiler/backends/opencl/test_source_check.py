"""Checking OpenCL C without a driver."""

import pytest

from ossc.compiler.backends.opencl.source_check import check_source
from ossc.targets.errors import ToolchainError

SOURCE = """
kernel void add(global float* restrict x, global const uint* restrict words, int n) {
  local float shared[4];
  int item = convert_int(get_local_id(0));
  shared[item] = as_float(words[item] << 16) + exp(x[item]);
  barrier(CLK_LOCAL_MEM_FENCE);
  if (item < n) x[item] = shared[3 - item];
}
"""


def test_what_drivers_build_passes(tmp_path):
    path = tmp_path / "kernels.cl"
    path.write_text(SOURCE)
    check_source(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("exp(", "expp(", id="unknown-function"),
        pytest.param("get_local_id(0)", "get_local_id()", id="missing-argument"),
        pytest.param("float shared", "half shared", id="half-without-its-extension"),
        pytest.param("if (item < n)", "if (item < m)", id="unknown-variable"),
    ],
)
def test_a_slip_is_found_with_its_line(tmp_path, old, new):
    path = tmp_path / "kernels.cl"
    assert old in SOURCE
    path.write_text(SOURCE.replace(old, new))
    with pytest.raises(ToolchainError, match=r"clang refuses kernels\.cl: .*kernels\.cl:\d+:\d+"):
        check_source(path)


@pytest.mark.parametrize("condition", ["#if ", "#if !"])
def test_a_slip_in_what_is_for_a_cpu_or_for_a_gpu_alone_is_found(tmp_path, condition):
    path = tmp_path / "kernels.cl"
    path.write_text(
        f"{condition}defined(__x86_64__)\nkernel void f(global uint17* x) {{}}\n#endif\n"
    )
    with pytest.raises(ToolchainError, match="uint17"):
        check_source(path)
