"""Programs become machine code and PTX, or one sentence."""

import pytest

from cuda_code import require_nvrtc
from ossc.compiler.backends.cuda import nvrtc
from ossc.compiler.backends.cuda.headers import HEADERS
from ossc.compiler.backends.cuda.nvrtc import check_nvrtc, compile_cuda
from ossc.targets.cuda import TARGETS
from ossc.targets.errors import ToolchainError

ADD = """
#include <cuda/std/cstdint>
extern "C" __global__ void add(float* x, int n) {
  cuda::std::int32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] += 1.0f;
}
"""


@pytest.fixture(autouse=True)
def _nvrtc():
    require_nvrtc()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_a_program_is_compiled_for_every_target(target):
    architecture = target.device.architecture
    check_nvrtc(architecture)
    code = compile_cuda(ADD, architecture, HEADERS)
    assert code.cubin.startswith(b"\x7fELF")
    assert b".visible .entry add(" in code.ptx
    assert f".target {architecture}\n".encode() in code.ptx
    assert b"\0" not in code.ptx


def test_the_same_program_is_the_same_bytes():
    assert compile_cuda(ADD, "sm_87", HEADERS) == compile_cuda(ADD, "sm_87", HEADERS)


def test_a_program_that_is_wrong_is_refused_with_the_first_errors():
    wrong = ADD.replace("x[i]", "y[i]").replace("if (i", "int unused = 1.5; if (i")
    with pytest.raises(ToolchainError) as error:
        compile_cuda(wrong, "sm_87", HEADERS)
    assert "for sm_87 (NVRTC_ERROR_COMPILATION): kernels.cu(" in str(error.value)
    assert 'identifier "y" is undefined' in str(error.value)
    assert "warning" not in str(error.value)


def test_an_architecture_that_it_does_not_know_is_refused():
    with pytest.raises(ToolchainError, match=r"compiles for sm_\d+, .*, and not for sm_13; pip"):
        check_nvrtc("sm_13")


@pytest.mark.parametrize("package", ["nvidia.no_such_part", "no_such_package.part", "ossc.targets"])
def test_without_the_package_it_is_to_be_installed(monkeypatch, package):
    monkeypatch.setattr(nvrtc, "_PACKAGE", package)
    nvrtc._library.cache_clear()
    with pytest.raises(ToolchainError, match=r'not installed; pip install "ossc\[cuda\]"'):
        check_nvrtc("sm_87")


def test_a_library_that_does_not_load_is_to_be_installed_again(monkeypatch, tmp_path):
    (tmp_path / "libnvrtc.so.12").write_text("no library")
    monkeypatch.setattr(nvrtc, "_find_library", lambda: tmp_path / "libnvrtc.so.12")
    nvrtc._library.cache_clear()
    with pytest.raises(ToolchainError, match=r"does not load \(.*pip install --force-reinstall"):
        check_nvrtc("sm_87")


@pytest.fixture(autouse=True)
def _fresh_library():
    yield
    nvrtc._library.cache_clear()
