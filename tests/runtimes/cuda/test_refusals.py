"""What a CUDA device or its driver cannot do is one sentence, and leaves nothing behind."""

from dataclasses import replace

import pytest

from fake_cuda import FakeCuda
from ossc.runtimes.plan import ONE_GROUP, Device, Groups
from synthetic.cuda_bundle import PTX_TEXT, body, head, make_cuda_plan, write_cuda_bundle
from synthetic.opencl_plan import ARENA, STATE, WEIGHTS
from synthetic.tiny_plan import step

EMBED, ROUTE = body("decode", 1).steps[:2]


def with_steps(*steps):
    bodies = replace(body("decode", 1), steps=steps), body("prefill", 4)
    return {"segments": (*bodies, head(1))}


def test_without_a_driver_one_is_to_be_installed(program):
    missing = replace(program, fake_cuda=FakeCuda(program.bundle / "nowhere.so"))
    said = missing.reason()
    assert "CUDA cannot be loaded (" in said
    assert said.endswith("unset OSSC_CUDA_LIBRARY, or name the library of a driver in it.\n")


def test_a_library_that_is_not_cuda_is_refused(program):
    other = replace(program, fake_cuda=FakeCuda(program.bundle / "libossc_model.so"))
    assert "NVIDIA's driver lacks cuInit, which is of CUDA 12" in other.reason()


@pytest.mark.parametrize(
    ("variables", "fault"),
    [
        pytest.param({"DEVICES": ""}, "No CUDA driver here has a device; install", id="no-device"),
        pytest.param(
            {"ERRORS": "cuInit@1=803"},
            "driver does not start (CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, 803); see that nvidia-smi",
            id="mismatch",
        ),
        pytest.param(
            {"DEVICES": "1"},
            "None of the 1 CUDA devices here can be used (Fake GPU A is set to compute nothing",
            id="prohibited",
        ),
        pytest.param(
            {"ERRORS": "cuDevicePrimaryCtxRetain@1=46"},
            "cannot be opened (CUDA_ERROR_DEVICE_UNAVAILABLE, 46); another process has it",
            id="busy",
        ),
        pytest.param(
            {"DEVICES": "80"},
            "The bundle is for CUDA devices of sm_87 and later, and Fake GPU A is of sm_80; ",
            id="older-device",
        ),
        pytest.param(
            {"DEVICES": "90", "DRIVER": "12020"},
            "Fake GPU A (CUDA 12.2) is older than",
            id="older-driver",
        ),
        pytest.param(
            {"MEMORY": "20000"},
            "has 0.0 MB of memory and the model takes 0.0 MB there; compile it",
            id="memory-in-all",
        ),
        pytest.param(
            {"ERRORS": "cuMemAlloc_v2@2=2", "MEMORY": "9000000"},
            "has 9.0 MB of memory free and the KV cache of a session takes 0.0 MB; close",
            id="memory-at-once",
        ),
        pytest.param(
            {"ERRORS": "kernel@3=719"},
            "(CUDA_ERROR_LAUNCH_FAILED, 719); it takes no more work from this process",
            id="lost",
        ),
        pytest.param(
            {"ERRORS": "cuLaunchKernel@2=1"},
            "cannot run the step test_router of the test (CUDA_ERROR_INVALID_VALUE, 1); update",
            id="launch",
        ),
        pytest.param(
            {"ERRORS": "cuCtxPushCurrent_v2@3=3"},
            "(CUDA_ERROR_NOT_INITIALIZED, 3); CUDA works in the process that opened it, and not",
            id="forked",
        ),
        pytest.param({"ERRORS": "cuStreamCreate@1=7777"}, "(an unknown error, 7777)", id="unknown"),
    ],
)
def test_what_the_driver_says_is_one_sentence(program, variables, fault):
    said = program.reason(**variables)
    assert fault in said


@pytest.mark.parametrize(
    ("which", "fault"),
    [
        (
            "7",
            '"7" names none of the CUDA devices; give a number or a name of one: 0 NVIDIA CUDA /',
        ),
        ("fake", '"fake" names more than one of the CUDA devices'),
    ],
)
def test_a_device_that_is_not_meant_alone_is_refused(program, which, fault):
    assert fault in program.reason("--device", f"cuda:{which}", DEVICES="87,90")


@pytest.mark.parametrize("which", ["1", "gpu b"])
def test_a_device_is_named_by_its_number_or_a_part_of_its_name(program, which):
    said = program.reason("--device", f"cuda:{which}", DEVICES="87,80")
    assert "Fake GPU B is of sm_80" in said


def test_ptx_that_the_driver_cannot_compile_is_refused_with_its_log(tmp_path, program, binaries):
    write_cuda_bundle(tmp_path / "bundle", binaries, ptx=PTX_TEXT + "nonsense")
    said = program.reason(DEVICES="90")
    assert "kernels.ptx (CUDA_ERROR_INVALID_PTX: ptxas fatal : Parsing error near" in said


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param(
            with_steps(replace(EMBED, kernel="test_nothing")),
            "kernels.cubin has no kernel test_nothing (CUDA_ERROR_NOT_FOUND); compile the model",
            id="kernel",
        ),
        pytest.param(
            with_steps(replace(EMBED, block=(64, 4, 1))),
            "has groups of 64 x 4 x 1 work-items and the CUDA device Fake GPU A runs at most 128",
            id="block",
        ),
        pytest.param(
            with_steps(replace(ROUTE, grid=(ONE_GROUP, Groups(fixed=65536), ONE_GROUP))),
            "The kernel test_router has 65536 groups in y and the CUDA device Fake GPU A runs at "
            "most 65535",
            id="grid",
        ),
        pytest.param(
            with_steps(replace(EMBED, code="kernels.ptx")),
            "The code of the plan is kernels.ptx, and a CUDA device runs *.cubin alone",
            id="code",
        ),
        pytest.param(
            with_steps(step("test_router", 1, 4)),
            "a step that a CUDA device does not run (test_router of the test)",
            id="host-kernel",
        ),
        pytest.param(
            {"devices": (Device(kind="cuda"), Device(kind="cpu"))},
            "for 2 devices, the first of the kind cuda, and a CUDA device runs",
            id="two-devices",
        ),
        pytest.param(
            {"spaces": (WEIGHTS, replace(STATE, size_bytes=2**47), ARENA)},
            "has 1073.7 MB of memory and the model takes 140737488.4 MB there",
            id="state",
        ),
    ],
)
def test_a_plan_that_does_not_fit_the_device_is_refused(
    tmp_path, program, binaries, changes, fault
):
    write_cuda_bundle(tmp_path / "bundle", binaries, plan=make_cuda_plan(**changes))
    assert fault in program.reason()


def test_whichever_call_fails_nothing_is_left_behind(program):
    """Attributes and names may be unknown, and then the run goes on; all else ends it."""
    _, calls = program.continue_prompt("5 1 30 30 2 0")
    functions = sorted(set(calls) - {"left", "kernel"})
    refused = 0
    for function in functions:
        for number in {1, calls[function]}:
            done, left = program.run(
                str(program.bundle), "--token-ids", "5 1 30 30 2 0", "-n", "4",
                ERRORS=f"{function}@{number}=999",
            )  # fmt: skip
            assert left["left"] == 0, (function, number)
            assert done.returncode in (0, 1), (function, number, done.stderr)
            if done.returncode:
                assert done.stderr.count("\n") == 1
                assert done.stderr.startswith("ossc-run: ")
                refused += 1
    assert refused > len(functions)
