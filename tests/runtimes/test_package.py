"""What `ossc.runtimes` imports, and when."""

import subprocess
import sys

import pytest

import ossc.runtimes
from ossc.runtimes import Session
from ossc.runtimes.session import Session as SessionOfItsModule


def test_the_package_exports_the_session():
    assert Session is SessionOfItsModule


def test_another_name_is_an_error():
    with pytest.raises(AttributeError, match="no attribute 'Sesion'"):
        _ = ossc.runtimes.Sesion


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        pytest.param("ossc.runtimes.version", {"numpy"}, id="version"),
        pytest.param("ossc.runtimes.bundle", {"numpy", "tokenizers"}, id="formats"),
        pytest.param("ossc.runtimes.run", {"onnx", "tvm", "torch", "tokenizers"}, id="run"),
    ],
)
def test_a_module_imports_only_what_it_uses(module, unwanted):
    program = f"import sys, {module}; print(*sys.modules)"
    environment = {"PYTHONPATH": ":".join(sys.path)}
    finished = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert not unwanted & set(finished.stdout.split())
