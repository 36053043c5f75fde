"""Objects that tests share are those of ossc, and each is generated once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import tvm

import shared_objects
from kernel_operands import TVM_TARGETS
from ossc.compiler.backends.cpu.kernels.experts.combine_experts import combine_experts
from ossc.compiler.backends.cpu.kernels.rms_norm import rms_norm
from ossc.compiler.backends.cpu.objects import generate_object
from shared_objects import SharedObjects

AVX2, VNNI = (tvm.target.Target(TVM_TARGETS[name]) for name in ("avx2", "avx512_vnni"))
NORM = {"hidden": 44, "epsilon": 1e-5, "add": True, "n": None}


@pytest.fixture
def generated(monkeypatch):
    """The symbols that were generated."""
    symbols = []

    def generate(symbol, *rest):
        symbols.append(symbol)
        return generate_object(symbol, *rest)

    monkeypatch.setattr(shared_objects, "generate_object", generate)
    return symbols


def test_an_object_is_generated_once_whoever_asks(tmp_path, generated):
    stores = [SharedObjects(tmp_path), SharedObjects(tmp_path)]
    with ThreadPoolExecutor(4) as threads:
        asked = [
            threads.submit(store, "norm", rms_norm(**NORM).func, AVX2)
            for store in stores
            for _ in range(2)
        ]
    objects = {each.result() for each in asked}
    assert objects == {generate_object("norm", rms_norm(**NORM).func, AVX2)}
    assert generated == ["norm"]


@pytest.mark.parametrize(
    ("symbol", "function", "target"),
    [
        pytest.param("other", rms_norm(**NORM).func, AVX2, id="symbol"),
        pytest.param("norm", rms_norm(**NORM | {"epsilon": 1e-6}).func, AVX2, id="constant"),
        pytest.param("norm", rms_norm(**NORM | {"n": 1}).func, AVX2, id="shape"),
        pytest.param("norm", combine_experts(hidden=44, k=2, n=None).func, AVX2, id="kernel"),
        pytest.param("norm", rms_norm(**NORM).func, VNNI, id="target"),
    ],
)
def test_what_differs_has_an_object_of_its_own(tmp_path, generated, symbol, function, target):
    store = SharedObjects(tmp_path)
    first = store("norm", rms_norm(**NORM).func, AVX2)
    assert store(symbol, function, target) == generate_object(symbol, function, target) != first
    assert generated == ["norm", symbol]
