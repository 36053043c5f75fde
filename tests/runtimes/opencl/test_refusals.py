"""What an OpenCL device cannot run is refused in one sentence, before anything runs."""

from dataclasses import replace

import pytest

from ossc.runtimes.plan import Device, Space, Use
from synthetic.opencl_bundle import write_opencl_bundle
from synthetic.opencl_plan import (
    ALIGNMENT_BYTES,
    ARENA,
    DEVICE,
    EMBED,
    KERNELS,
    STATE,
    WEIGHTS,
    body,
    head,
    make_opencl_plan,
)
from synthetic.tiny_plan import step

SPACES = WEIGHTS, STATE, ARENA
GIB = 2**30
ONLY_EIGHT = "__attribute__((reqd_work_group_size(8, 1, 1)))"


def scratch(gib):
    return Space(use=Use.ARENA, size_bytes=gib * GIB, alignment_bytes=ALIGNMENT_BYTES)


def with_steps(*steps):
    bodies = replace(body("decode", 1), steps=steps), body("prefill", 4)
    return {"segments": (*bodies, head(1))}


def test_without_a_library_opencl_is_to_be_installed(reason):
    said = reason(OSSC_OPENCL_LIBRARY="/nowhere/libOpenCL.so")
    assert "OpenCL cannot be loaded (/nowhere/libOpenCL.so: cannot open" in said
    assert said.endswith("unset OSSC_OPENCL_LIBRARY, or name the library of a driver in it.")


def test_a_library_that_is_not_opencl_is_refused(reason):
    said = reason(OSSC_OPENCL_LIBRARY="libc.so.6")
    assert "lacks clGetPlatformIDs, which is of OpenCL 1.2; install a newer one" in said


def test_without_a_driver_there_is_no_device(reason, pocl, tmp_path):
    (tmp_path / "vendors").mkdir()
    said = reason(OCL_ICD_VENDORS=str(tmp_path / "vendors"))
    assert "No OpenCL driver here has a device; install the driver" in said
    assert pocl.name


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        pytest.param(
            {"spaces": (WEIGHTS, replace(STATE, size_bytes=2**47), ARENA)},
            ["MB at once and the KV cache of a session takes 140737488.4 MB; compile the model"],
            id="state",
        ),
        pytest.param(
            {"spaces": (*SPACES, *[scratch(2)] * 200)},
            ["MB of memory and the model takes 429", "smaller --context"],
            id="all-together",
        ),
        pytest.param(
            {"spaces": tuple(replace(each, alignment_bytes=64) for each in SPACES)},
            ["needs buffers at multiples of 128 bytes and the plan has them at multiples of 64"],
            id="alignment",
        ),
        pytest.param(
            with_steps(replace(EMBED, kernel="test_nothing")),
            ["kernels.cl has no kernel test_nothing (CL_INVALID_KERNEL_NAME); compile the model"],
            id="kernel",
        ),
        pytest.param(
            with_steps(replace(EMBED, takes_rows=False)),
            ["The kernel test_embedding takes 4 arguments and the plan has 3 for it"],
            id="arguments",
        ),
        pytest.param(
            with_steps(step("test_router", 1, 4)),
            ["a step that an OpenCL device does not run"],
            id="host-kernel",
        ),
        pytest.param(
            {"devices": (DEVICE, Device(kind="cpu"))},
            ["for 2 devices, the first of the kind opencl, and an OpenCL device runs"],
            id="two-devices",
        ),
    ],
)
def test_a_plan_that_does_not_fit_the_device_is_refused(
    reason, tmp_path, binaries, pocl, changes, faults
):
    write_opencl_bundle(tmp_path / "bundle", binaries, plan=make_opencl_plan(**changes))
    said = reason(pocl.device)
    assert all(fault in said for fault in faults), said


def test_kernels_that_the_driver_cannot_build_are_refused(
    reason, tmp_path, binaries, any_driver, caches
):
    broken = KERNELS.replace("int column", "int colunm")
    write_opencl_bundle(tmp_path / "bundle", binaries, kernels=broken)
    said = reason(any_driver.device)
    assert "cannot build kernels.cl (CL_BUILD_PROGRAM_FAILURE: " in said
    assert "column" in said
    assert not list(caches.glob("*"))


def test_a_launch_that_the_device_refuses_is_one_sentence(reason, tmp_path, binaries, rusticl):
    """Only the driver knows what size of group a kernel insists on."""
    kernels = KERNELS.replace("void test_router", f"{ONLY_EIGHT} void test_router")
    write_opencl_bundle(tmp_path / "bundle", binaries, kernels=kernels)
    said = reason(rusticl.device)
    assert "cannot run the step test_router of the test (CL_INVALID_WORK_GROUP_SIZE, -54)" in said


def test_weights_that_are_missing_are_refused(reason, bundle, pocl):
    (bundle / "weights.bin").unlink()
    assert "weights.bin" in reason(pocl.device)
