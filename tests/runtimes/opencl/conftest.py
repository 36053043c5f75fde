"""OpenCL drivers, and bundles of hand-written kernels for them."""

import os
import subprocess

import pytest

from opencl_icd import DRIVERS, installed_driver
from synthetic.opencl_bundle import write_opencl_bundle


@pytest.fixture(params=DRIVERS)
def any_driver(request):
    """Each of the drivers in turn."""
    return installed_driver(request.param)


@pytest.fixture
def pocl():
    """The driver for tests that need one."""
    return installed_driver("pocl")


@pytest.fixture
def rusticl():
    """The driver for tests with kernels of their own, which it builds ten times as fast."""
    return installed_driver("rusticl")


@pytest.fixture(autouse=True)
def caches(monkeypatch, tmp_path, run_folder):
    """The cache of a test is its own; what PoCL keeps is shared."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("OSSC_CACHE_DIR", str(folder))
    monkeypatch.setenv("POCL_CACHE_DIR", str(run_folder / "pocl"))
    return folder


@pytest.fixture
def bundle(tmp_path, binaries):
    """A bundle that an OpenCL device runs."""
    return write_opencl_bundle(tmp_path / "bundle", binaries)


@pytest.fixture
def run_program(bundle):
    """Runs the bundle's ``ossc-run``, with more in its environment."""

    def run(*arguments, **environment):
        return subprocess.run(
            [bundle / "ossc-run", *arguments],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | environment,
        )

    return run


@pytest.fixture
def reason(bundle, run_program):
    """Runs the bundle, which has to fail, and returns why: one sentence, after the driver's own."""

    def refuse(device="opencl", status=1, **environment):
        done = run_program(bundle, "--token-ids", "1", "--device", device, **environment)
        assert (done.returncode, done.stdout) == (status, "")
        *_, said = done.stderr.splitlines()
        assert said.startswith("ossc-run: ")
        assert said.endswith(".")
        assert done.stderr.count("ossc-run: ") == 1
        return said

    return refuse
