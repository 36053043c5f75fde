"""The runtime as the compiler builds it: for every target, small, and exporting its API alone."""

import ctypes
import re
import subprocess

import pytest

from ossc.compiler.backends import runtime_link
from ossc.compiler.backends.runtime_link import device_table, runtime_sources
from ossc.targets import all_targets
from ossc.targets.machine import this_machine
from synthetic.tiny_bundle import C_RUNTIME, ZIG, compile_c, write_bundle
from synthetic.tiny_bundle import runtime_sources as all_sources

MAX_EXECUTABLE_BYTES = 1_000_000
HOSTS = {each.host.arch: each.host for each in all_targets() if each.device.loads_drivers}
"""Those that all of the runtime is for; what is for CPUs alone is linked and run for each target in
compiler/end_to_end/test_targets.py."""


@pytest.mark.parametrize("arch", HOSTS)
def test_the_static_executable_is_under_a_megabyte(tmp_path, arch):
    executable, triple = tmp_path / "ossc-run", HOSTS[arch].zig_static
    assert triple == f"{arch}-linux-musl"
    runtime_link._link(triple, runtime_link._STATIC, all_sources(main=True), executable)
    assert executable.stat().st_size < MAX_EXECUTABLE_BYTES


@pytest.mark.parametrize("arch", HOSTS)
def test_the_library_builds_for_an_old_glibc(tmp_path, arch):
    library, triple = tmp_path / "libossc_model.so", HOSTS[arch].zig_shared
    assert triple == f"{arch}-linux-gnu.2.17"
    flags = (*runtime_link._SHARED, *runtime_link._DRIVERS)
    runtime_link._link(triple, flags, all_sources(), library)
    assert library.stat().st_size < MAX_EXECUTABLE_BYTES
    if arch == this_machine().arch:
        ctypes.CDLL(str(library))


@pytest.mark.parametrize("kind", ["cpu", "opencl"])
def test_a_program_of_one_kind_of_device_needs_no_other(tmp_path, c_objects, kind):
    kinds = (kind, "null")
    table = tmp_path / "device_kinds.c"
    table.write_text(device_table(kinds), encoding="utf-8")
    kernels = [C_RUNTIME / "test" / "kernels.c"] if kind == "cpu" else []
    sources = [*runtime_sources(kinds), table, *kernels]
    program = compile_c(tmp_path / "ossc-run", sources, ("-O2",), ZIG, c_objects)
    done = subprocess.run([program, "--help"], capture_output=True, text=True, check=True)
    assert "--device" in done.stdout
    refused = subprocess.run(
        [program, write_bundle(tmp_path / "bundle"), "--token-ids", "1", "--device", "abacus"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.stderr.endswith(f"or name one of: {kind}, null.\n")


def test_the_library_exports_what_the_header_declares_and_nothing_else(binaries):
    header = (C_RUNTIME / "include" / "ossc.h").read_text()
    library = ctypes.CDLL(str(binaries[0]))
    declared = set(re.findall(r"^OSSC_API [^;(]*?(ossc_\w+)\(", header, re.MULTILINE))
    assert len(declared) > 15
    assert all(hasattr(library, name) for name in declared)
    hidden = set(re.findall(r"^\w[\w* ]*?(\w+)\(", _source_text(), re.MULTILINE)) - declared
    assert {"plan_parse", "fail", "main"} <= hidden
    assert not [name for name in hidden if hasattr(library, name) and name != "main"]


def _source_text():
    paths = (C_RUNTIME / "src").rglob("*.c")
    # its functions are of newer C libraries too
    return "\n".join(path.read_text() for path in paths if path.name != "libm_arm.c")
