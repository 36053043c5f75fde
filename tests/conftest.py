"""What all tests share: their order, and the bundle that is made without our compiler."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before any test loads onnxruntime
os.environ["RUSTICL_ENABLE"] = "llvmpipe"  # before any loads OpenCL's drivers: a CPU counts too

from fake_cuda import FakeCuda, build_fake_cuda
from schedule import Schedule, mark_slow_tests
from synthetic.tiny_bundle import build_executable, build_library, write_bundle

# How long an example takes depends on what else the machine does.
settings.register_profile("ossc", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ossc")


@pytest.hookimpl(tryfirst=True)  # before those that a mark leaves out are left out
def pytest_collection_modifyitems(items):
    """Mark the slow tests."""
    mark_slow_tests(items)


def pytest_xdist_make_scheduler(config, log):
    """Let tests that share something be done by one worker."""
    config.option.loadscopereorder = False
    return Schedule(config, log)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory) -> Path:
    """The folder that the workers of one test run share."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session")
def c_objects(run_folder) -> Path:
    """Where objects of C files are kept; see `compile_c`."""
    return run_folder / "c_objects"


@pytest.fixture(scope="session")
def binaries(tmp_path_factory, c_objects):
    """The runtime with the tests' kernels: ``libossc_model.so`` and ``ossc-run``."""
    directory = tmp_path_factory.mktemp("binaries")
    return [build_library(directory), build_executable(directory, c_objects)]


@pytest.fixture(scope="session")
def fake_cuda(tmp_path_factory) -> FakeCuda:
    """What stands for NVIDIA's driver."""
    return build_fake_cuda(tmp_path_factory.mktemp("fake_cuda"))


@pytest.fixture
def tiny_bundle(tmp_path, binaries):
    """A bundle that this machine runs, with the model of ``synthetic.tiny_bundle``."""
    return write_bundle(tmp_path / "bundle", binaries)
