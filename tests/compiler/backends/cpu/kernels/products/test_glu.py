"""Gated activations against float64, and which ones there are."""

import numpy as np
import pytest

from glu_reference import activated
from ossc.compiler.backends.cpu.kernels.products.glu import gated
from ossc.compiler.backends.cpu.vectors import vectors as v
from ossc.compiler.lowering.glu import Glu
from ossc.compiler.lowering.kernel import building
from ossc.runtimes.kernel_cost import Work
from ossc.targets.errors import LoweringError

COUNT = 1 << 14
EPSILON = 2.0**-24

KINDS = ["silu", "gelu", "gelu_tanh"]


def apply(run, kind, numbers, cpu="x86-64-v3"):
    """Return the kernel's function of each gate, met by an up of 1."""
    glu = Glu(kind=kind)
    with building(f"glu_of_many_{kind}", None) as function:
        x, y = (function.buffer(name, "float32", COUNT) for name in ("x", "y"))
        with function.tasks(fixed=COUNT // v.LANES) as task:
            gate, one = v.load(x, task * v.LANES), v.constant(1, "float32x8")
            v.store(y, task * v.LANES, value=gated(glu, gate, one))
    kernel = function.kernel("glu", "f32", Work())
    padded = np.resize(np.asarray(numbers, np.float32), COUNT)
    (result,) = run(kernel, [padded], [("float32", (COUNT,))], cpu=cpu)
    return padded.astype(np.float64), result


def exponent(kind, x):
    """Return how many steps the rounding of the exponential's argument may cost."""
    cube = 2 * np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)
    return np.abs({"silu": 0 * x, "gelu": x * x / 2, "gelu_tanh": 3 * cube}[kind])


@pytest.mark.parametrize("cpu", ["x86-64-v3", "x86-64-v2"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("low", "high"), [(-8.5, 8.5), (-1, 1), (-1e-3, 1e-3)])
def test_gates_are_exact_relative_to_their_value(run, kind, low, high, cpu):
    x, y = apply(run, kind, np.random.default_rng(0).uniform(low, high, COUNT), cpu)
    exact = activated(Glu(kind=kind), x)
    steps = np.abs(y / exact - 1) / EPSILON
    negative = np.where(x < 0, exponent(kind, x), 0)
    assert (steps <= 8 + negative).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("x", "expected"),
    [(0, 0), (-1e4, 0), (1e4, 1e4), (1e30, 1e30), (np.inf, np.inf), (np.nan, np.nan)],
)
def test_gates_at_the_ends(run, kind, x, expected):
    _, y = apply(run, kind, [x])
    np.testing.assert_array_equal(np.abs(y), np.full(COUNT, expected, np.float32))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "relu"}, "gates with 'relu'"),
        ({"kind": "silu", "limit": 7.0}, "only swiglu_oss"),
        ({"kind": "swiglu_oss", "alpha": 1.7}, "needs two numbers"),
        ({"kind": "swiglu_oss", "alpha": 1.7, "limit": 0.0}, "limit above 0"),
    ],
)
def test_what_no_kernel_computes_is_refused(options, message):
    with pytest.raises(LoweringError, match=message):
        Glu(**options)
