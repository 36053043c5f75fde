"""The files that a bundle gets, and what is asked for before minutes of work."""

from types import SimpleNamespace

import pytest

from cuda_code import require_nvrtc
from ossc.compiler.backends import find_backend
from ossc.compiler.backends.cuda import backend, nvrtc
from ossc.compiler.progress import SilentReporter
from ossc.targets import find_target, resolve_target
from ossc.targets.errors import ToolchainError, UnknownNameError

TARGET = find_target("cuda:sm_90")

SOURCE = """
extern "C" __global__ void __launch_bounds__(128) NAME(float* __restrict__ x) {
  x[threadIdx.x] += 1.0f;
}
"""

CODE = {f"kernels{kv}.cubin": SOURCE.replace("NAME", f"add{number}") for number, kv in
        enumerate(["", ".f32", ".f16"])}  # fmt: skip


@pytest.fixture
def emit(monkeypatch, tmp_path):
    """Writes the files of code into a folder, and returns their bytes by name."""
    require_nvrtc()
    linked = []
    monkeypatch.setattr(backend, "link_runtime", lambda *arguments: linked.append(arguments))

    def emit_once(name):
        folder = tmp_path / name
        folder.mkdir()
        lowered = SimpleNamespace(code=CODE)
        find_backend("cuda").emit(lowered, TARGET, folder, tmp_path)
        assert linked.pop() == (TARGET, [], folder, tmp_path)
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    return emit_once


def test_each_file_of_code_is_machine_code_with_its_ptx_beside_it(emit):
    files = emit("bundle")
    assert files.keys() == {
        f"kernels{kv}.{ending}" for kv in ("", ".f32", ".f16") for ending in ("cubin", "ptx")
    }
    for number, kv in enumerate(["", ".f32", ".f16"]):
        assert files[f"kernels{kv}.cubin"].startswith(b"\x7fELF")
        assert f".entry add{number}(".encode() in files[f"kernels{kv}.ptx"]
        assert b".minnctapersm 3" in files[f"kernels{kv}.ptx"]


def test_the_same_kernels_are_the_same_bytes(emit):
    assert emit("one") == emit("two")


def test_without_nvrtc_nothing_is_begun(monkeypatch):
    monkeypatch.setattr(nvrtc, "_PACKAGE", "nvidia.no_such_part")
    monkeypatch.setattr(backend, "prepare_linker", lambda *_: pytest.fail("it came too late"))
    nvrtc._library.cache_clear()
    with pytest.raises(ToolchainError, match=r'pip install "ossc\[cuda\]"'):
        find_backend("cuda").prepare(TARGET, SilentReporter())


def test_an_architecture_without_a_target_is_answered_with_those_there_are():
    with pytest.raises(UnknownNameError, match=r"no target 'cuda:sm_75'; did you mean 'cuda:sm_"):
        resolve_target("cuda:sm_75")
