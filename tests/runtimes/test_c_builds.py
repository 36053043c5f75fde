"""The runtime as the compiler builds it: for every target, small, and exporting its API alone."""

import ctypes
import re

import pytest

from ossc.compiler.backends.cpu import toolchain
from ossc.targets import all_targets
from ossc.targets.machine import this_machine
from synthetic.tiny_bundle import C_RUNTIME, runtime_sources

MAX_EXECUTABLE_BYTES = 1_000_000
HOSTS = {target.host.arch: target.host for target in all_targets()}


@pytest.mark.parametrize("arch", HOSTS)
def test_the_static_executable_is_under_a_megabyte(tmp_path, arch):
    executable, triple = tmp_path / "ossc-run", HOSTS[arch].zig_static
    assert triple == f"{arch}-linux-musl"
    toolchain._link(triple, toolchain._STATIC, runtime_sources(main=True), executable)
    assert executable.stat().st_size < MAX_EXECUTABLE_BYTES


@pytest.mark.parametrize("arch", HOSTS)
def test_the_library_builds_for_an_old_glibc(tmp_path, arch):
    library, triple = tmp_path / "libossc_model.so", HOSTS[arch].zig_shared
    assert triple == f"{arch}-linux-gnu.2.17"
    toolchain._link(triple, toolchain._SHARED, runtime_sources(), library)
    assert library.stat().st_size < MAX_EXECUTABLE_BYTES
    if arch == this_machine().arch:
        ctypes.CDLL(str(library))


def test_the_library_exports_what_the_header_declares_and_nothing_else(binaries):
    header = (C_RUNTIME / "include" / "ossc.h").read_text()
    library = ctypes.CDLL(str(binaries[0]))
    declared = set(re.findall(r"^OSSC_API [^;(]*?(ossc_\w+)\(", header, re.MULTILINE))
    assert len(declared) > 15
    assert all(hasattr(library, name) for name in declared)
    hidden = set(re.findall(r"^\w[\w* ]*?(\w+)\(", _all_sources(), re.MULTILINE)) - declared
    assert {"plan_parse", "fail", "main"} <= hidden
    assert not [name for name in hidden if hasattr(library, name) and name != "main"]


def _all_sources():
    return "\n".join(path.read_text() for path in (C_RUNTIME / "src").rglob("*.c"))
