"""The C runtime's own test programs, built by zig, and with sanitizers where gcc has them."""

import os
import subprocess

import pytest

from opencl_icd import DRIVERS, installed_driver
from synthetic.cuda_bundle import write_cuda_bundle
from synthetic.mutated_plans import is_accepted, write_mutated_plans
from synthetic.opencl_bundle import write_opencl_bundle
from synthetic.opencl_plan import make_opencl_plan
from synthetic.tiny_bundle import C_RUNTIME, ZIG, compile_c, program_sources, write_bundle
from synthetic.tiny_plan import make_plan

BUILDS = {
    "zig": (ZIG, ("-O2",)),
    "asan-ubsan": (
        ("gcc",),
        ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
    ),
    "tsan": (("gcc",), ("-O1", "-g", "-fsanitize=thread")),
}


def has_sanitizer(flag, directory):
    source = directory / "probe.c"
    source.write_text("int main(void) { return 0; }\n")
    command = ["gcc", flag, str(source), "-o", str(directory / "probe")]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(scope="session")
def build(tmp_path_factory, c_objects):
    directory = tmp_path_factory.mktemp("c_programs")
    built = {}

    def build_once(name, variant):
        compiler, flags = BUILDS[variant]
        sanitizers = [flag for flag in flags if flag.startswith("-fsanitize")]
        if sanitizers and not has_sanitizer(sanitizers[0], directory):
            pytest.skip("gcc with sanitizers is not installed")
        if (name, variant) not in built:
            output = directory / f"{name}-{variant}"
            sources = program_sources(name)
            built[name, variant] = compile_c(output, sources, flags, compiler, c_objects)
        return built[name, variant]

    return build_once


def run_program(program, *arguments, **environment):
    finished = subprocess.run(
        [program, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize("variant", ["zig", "asan-ubsan"])
@pytest.mark.parametrize("name", ["test_sampler", "test_readers", "test_kernel_trial"])
def test_the_program_passes(build, name, variant):
    run_program(build(name, variant))


@pytest.mark.parametrize("variant", BUILDS)
def test_the_thread_pool_does_every_task_once(build, variant):
    run_program(build("test_thread_pool", variant))


@pytest.mark.parametrize("variant", BUILDS)
def test_the_api_does_what_its_header_says(build, variant, tmp_path):
    run_program(build("test_api", variant), write_bundle(tmp_path))


@pytest.mark.parametrize("variant", BUILDS)
def test_every_entry_of_the_device_api_holds_for_every_kind_of_device(
    build, variant, tmp_path, fake_cuda
):
    bundles = write_bundle(tmp_path / "cpu"), write_cuda_bundle(tmp_path / "cuda")
    with fake_cuda.driver() as calls:
        run_program(build("device_suite", variant), *bundles)
    assert calls["cuGraphLaunch"] > 0
    assert calls["left"] == 0


def leaks_of_drivers(folder):
    """The environment in which what drivers leak is not ours: their threads may end before them."""
    leaks = folder / "leaks"
    leaks.write_text("leak:libpocl\nleak:libRusticlOpenCL\nleak:libLLVM\n")
    return {"LSAN_OPTIONS": f"suppressions={leaks}"}


@pytest.mark.parametrize("variant", ["zig", "asan-ubsan"])
@pytest.mark.parametrize("name", DRIVERS)
def test_every_entry_of_the_device_api_holds_on_an_opencl_driver(build, variant, name, tmp_path):
    """Not under TSan, which would not see into the drivers' locks."""
    driver = installed_driver(name)
    folders = write_bundle(tmp_path / "cpu"), write_opencl_bundle(tmp_path / "opencl")
    own = {"OSSC_CACHE_DIR": str(tmp_path / "cache"), **leaks_of_drivers(tmp_path)}
    run_program(build("device_suite", variant), *folders, **driver.environment, **own)


def test_a_failure_of_any_call_of_an_opencl_driver_is_met(build, tmp_path):
    """On PoCL: Mesa 22.3 reads what was to be written even after it said that it is done."""
    driver = installed_driver("pocl")
    program = build("test_opencl_faults", "asan-ubsan")
    library = tmp_path / "faulty_opencl.so"
    flags = ("-D_GNU_SOURCE", "-shared", "-fPIC", "-ldl", "-Wl,--no-as-needed", "-l:libOpenCL.so.1")
    compile_c(library, [C_RUNTIME / "test" / "faulty_opencl.c"], flags, ("gcc",))
    bundle = write_opencl_bundle(tmp_path / "bundle")
    named = {"OSSC_OPENCL_LIBRARY": str(library), **leaks_of_drivers(tmp_path)}
    run_program(program, bundle, tmp_path / "cache", **driver.environment, **named)


@pytest.mark.parametrize("variant", BUILDS)
def test_threads_forks_and_damaged_weights_are_met(build, variant, tmp_path):
    """TSan takes the zeros that a thread maps over a page that is gone for a write to it."""
    known = tmp_path / "known_races"
    known.write_text("race:put_zeros\n")
    options = {"TSAN_OPTIONS": f"suppressions={known}"}
    run_program(build("test_guards", variant), write_bundle(tmp_path / "bundle"), **options)


@pytest.mark.parametrize("variant", ["zig", "asan-ubsan"])
def test_a_generation_ends_for_a_reason(build, variant, tmp_path):
    bundle = write_bundle(tmp_path, stop_token_ids=())
    run_program(build("test_generate", variant), bundle)


@pytest.mark.parametrize("variant", ["zig", "asan-ubsan"])
def test_every_changed_byte_of_a_bundle_is_refused(build, variant, tmp_path):
    run_program(build("test_attacks", variant), write_bundle(tmp_path))


@pytest.mark.parametrize("variant", ["zig", "asan-ubsan"])
@pytest.mark.parametrize("make", [make_plan, make_opencl_plan])
def test_both_readers_of_plans_accept_the_same_ones(build, variant, make, tmp_path):
    path = tmp_path / "plans"
    plans = write_mutated_plans(make().to_bytes(), 5000, path)
    answers = run_program(build("test_attacks", variant), "--plans", path)
    assert [answer == "1" for answer in answers] == [is_accepted(plan) for plan in plans]
    assert 100 < answers.count("1") < 4900
