"""The C runtime where sizes and pointers have 32 bits: its test programs, on an emulated Arm."""

import os
import subprocess
from dataclasses import replace

import pytest

from compiled import require_a_way_to_run
from ossc.runtimes.emulation import emulator_command
from ossc.runtimes.manifest import WEIGHTS_NAME, HostEntry, Manifest, TargetEntry
from ossc.targets import find_target
from synthetic.mutated_plans import is_accepted, write_mutated_plans
from synthetic.opencl_plan import make_opencl_plan
from synthetic.tiny_bundle import (
    ZIG,
    compile_c,
    program_sources,
    runtime_sources,
    write_bundle,
)
from synthetic.tiny_plan import ARENA, STATE, WEIGHTS, make_plan

pytestmark = pytest.mark.emulated

NAME = "cpu:armv7"
HOST = find_target(NAME).host
TARGET = TargetEntry(
    name="cpu:test", host=HostEntry(arch=HOST.arch, cpu_features=HOST.cpu_features)
)
FLAGS = (
    *("-O1", "-target", HOST.zig_static, "-static"),
    *("-fsanitize=undefined", "-fsanitize-trap=undefined"),
)
"""What is undefined in C ends a program."""

GIB = 1 << 30


@pytest.fixture(scope="module")
def build(tmp_path_factory, c_objects):
    """Compiles one of the runtime's test programs, or ``ossc-run``."""
    require_a_way_to_run(NAME)
    folder = tmp_path_factory.mktemp("programs")

    def build_once(name):
        if not (folder / name).exists():
            sources = runtime_sources(main=True) if name == "ossc-run" else program_sources(name)
            compile_c(folder / name, sources, FLAGS, ZIG, c_objects)
        return folder / name

    return build_once


def emulate(program, *arguments, emulator=None):
    command = [*(emulator or emulator_command(TARGET)), program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def output_of(program, *arguments):
    done = emulate(program, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "name", ["test_readers", "test_libm", "test_workspace", "test_kernel_trial", "test_thread_pool"]
)
def test_the_program_passes(build, name):
    output_of(build(name))


@pytest.mark.parametrize("name", ["test_api", "device_suite", "test_attacks"])
def test_the_program_passes_on_a_bundle(build, name, tmp_path):
    output_of(build(name), write_bundle(tmp_path, target=TARGET))


@pytest.mark.parametrize("make", [make_plan, make_opencl_plan])
def test_both_readers_of_plans_accept_the_same_ones(build, make, tmp_path):
    plans = write_mutated_plans(make().to_bytes(), 1000, tmp_path / "plans")
    answers = output_of(build("test_attacks"), "--plans", tmp_path / "plans")
    assert [answer == "1" for answer in answers] == [is_accepted(plan) for plan in plans]
    assert 20 < answers.count("1") < 980


def bundle_of_sizes(folder, weights, state, arena):
    """Write a bundle whose spaces have so many more bytes; its weights are a file with a hole."""
    sizes = zip((WEIGHTS, STATE, ARENA), (weights, state, arena), strict=True)
    spaces = tuple(replace(space, size_bytes=space.size_bytes + more) for space, more in sizes)
    bundle = write_bundle(folder, target=TARGET, plan=make_plan(spaces=spaces).to_bytes())
    os.truncate(bundle / WEIGHTS_NAME, spaces[0].size_bytes)
    manifest = Manifest.read(bundle)
    entry = replace(manifest.files[WEIGHTS_NAME], size_bytes=spaces[0].size_bytes)
    replace(manifest, files={**manifest.files, WEIGHTS_NAME: entry}).write(bundle)
    return bundle


@pytest.mark.parametrize("mode", ["mapped", "resident"])
@pytest.mark.parametrize(
    "sizes",
    [
        pytest.param((4 * GIB, 0, 0), id="weights-that-wrap"),
        pytest.param((5 * GIB, 0, 0), id="weights"),
        pytest.param((0, 4 * GIB, 0), id="a-long-context"),
        pytest.param((2 * GIB - 65536, 0, 0), id="no-room-to-align"),
        pytest.param((GIB, 3 * GIB // 2, 3 * GIB // 2), id="their-sum"),
    ],
)
def test_a_bundle_beyond_the_addresses_is_refused_before_it_is_mapped(build, tmp_path, sizes, mode):
    bundle = bundle_of_sizes(tmp_path, *sizes)
    done = emulate(build("ossc-run"), bundle, "--token-ids", "1", "--weights", mode)
    needed = [
        space.size_bytes + more for space, more in zip((WEIGHTS, STATE, ARENA), sizes, strict=True)
    ]
    assert done.stderr == (
        f"ossc-run: The bundle takes {sum(needed)} bytes of memory, {max(needed)} of them in one "
        "piece, and a program of 32 bits has at most 4294967295 and 2147483647; compile the model "
        "for a 64-bit machine, or a smaller model or --context.\n"
    )
    assert done.returncode == 1


def test_a_bundle_near_the_limits_runs(build, tmp_path):
    bundle = bundle_of_sizes(tmp_path, 2 * GIB - 3 * (2 << 20), GIB // 4, 0)
    assert output_of(build("ossc-run"), bundle, "--token-ids", "5 1", "-n", "2").split()


def test_a_cpu_without_fused_multiplication_is_refused(build, tmp_path):
    bundle = write_bundle(tmp_path, target=TARGET)
    emulator = [emulator_command(TARGET)[0], "-cpu", "cortex-a9"]
    done = emulate(build("ossc-run"), bundle, "--token-ids", "1", emulator=emulator)
    assert "The bundle needs a CPU with vfpv4, which this one lacks" in done.stderr
