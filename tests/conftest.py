"""What all tests share: the bundle that is made without our compiler, with its binaries."""

import os

import pytest
from hypothesis import HealthCheck, settings

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before any test loads onnxruntime

from synthetic.tiny_bundle import build_executable, build_library, write_bundle

# How long an example takes depends on what else the machine does.
settings.register_profile("ossc", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ossc")


@pytest.fixture(scope="session")
def binaries(tmp_path_factory):
    """The runtime with the tests' kernels: ``libossc_model.so`` and ``ossc-run``."""
    directory = tmp_path_factory.mktemp("binaries")
    return [build_library(directory), build_executable(directory)]


@pytest.fixture
def tiny_bundle(tmp_path, binaries):
    """A bundle that this machine runs, with the model of ``synthetic.tiny_bundle``."""
    return write_bundle(tmp_path / "bundle", binaries)
