"""Experts in several schemes: each gives the bits that it gives among experts of its own scheme."""

from itertools import cycle

import numpy as np
import pytest

from kernel_operands import random_activations, random_parts, supported_isas
from ossc.compiler.backends.cpu.kernels.experts.expert_glu import expert_glu
from ossc.compiler.backends.cpu.kernels.experts.expert_linear import expert_linear
from ossc.compiler.backends.cpu.packing import expert_stride, pack_glu, pack_rows
from ossc.compiler.backends.cpu.weights import activation_of, find_format
from ossc.compiler.lowering.glu import Glu
from ossc.targets.errors import LoweringError

N, K, ROWS, COLUMNS = 7, 3, 12, 64

MIXTURES = [
    (("mxfp4", "int4-g32", "mxfp4", "int8-g32", "int4-g32"), "int8x2"),
    (("bf16", "mxfp4", "mxfp4", "bf16", "mxfp4"), "int8"),
    (("f32", "bf16", "mxfp4", "f32", "bf16"), "f32"),
]
"""The scheme of each expert, and what weights with codes meet."""

ORDER = ("mxfp4", "int4-g32", "int8-g32", "bf16", "f32")


class Mixture:
    """Random experts of both products, packed in any order."""

    def __init__(self, run, schemes, activation, isa):
        self.run, self.schemes, self.activation, self.isa = run, schemes, activation, isa
        self.types = tuple(scheme for scheme in ORDER if scheme in schemes)
        self.experts = len(schemes)
        self.order = np.random.default_rng(7).permutation(self.experts)
        self.damage = lambda table: table
        random = np.random.default_rng(5)
        self.indices = np.stack([random.permutation(self.experts)[:K] for _ in range(N)])
        self.indices = self.indices.astype(np.int32)
        self.bias = random.standard_normal((self.experts, 2 * ROWS)).astype(np.float32)
        self.parts = {
            scheme: random_parts(scheme, (self.experts, 2 * ROWS, COLUMNS), seed)
            for seed, scheme in enumerate(self.types)
        }

    def type_of(self, scheme):
        """Return what activations of experts in a scheme are."""
        return activation_of(find_format(scheme), self.activation)

    def product(self, glu, tokens, *, single=False, only=None):
        """Run one of the products on some tokens; of all experts in one scheme, if ``only`` is."""
        schemes = self.types if only is None else (only,)
        activation = self.activation if only is None else self.type_of(only)
        sizes = {"intermediate": ROWS, "hidden": COLUMNS}
        if not glu:
            sizes = {"hidden": ROWS, "intermediate": COLUMNS}
        kernel = (expert_glu if glu else expert_linear)(
            scheme="+".join(schemes),
            activation=activation,
            experts=self.experts,
            counts=() if only else tuple(self.schemes.count(scheme) for scheme in schemes),
            k=K,
            bias=True,
            n=1 if single else None,
            isa=self.isa,
            **sizes,
            **({"glu": Glu(kind="silu")} if glu else {}),
        )
        types = [self.type_of(scheme) for scheme in schemes]
        ordered = [each for each in (self.activation, "f32") if each in types]
        leading = (N,) if glu else (N, K)
        arrays = [
            array
            for each in dict.fromkeys(ordered)
            for array in random_activations(each, (*leading, COLUMNS))
            .of(tokens)
            .arrays(1 if single else 0)
        ]
        indices = self.indices[tokens]
        table, weight = self.packed(glu, only)
        bias = self.bias if glu else np.ascontiguousarray(self.bias[:, :ROWS])
        output = ("float32", (len(indices), K, ROWS))
        inputs = [*arrays, *self.routing(indices, single), self.damage(table), weight, bias]
        return self.run(kernel, inputs, [output], n=len(indices))[0]

    def routing(self, indices, single):
        """Return how the kernels are told who chose whom."""
        if single:
            return [indices]
        flat = indices.reshape(-1)
        order = np.argsort(flat, kind="stable").astype(np.int32)
        offsets = np.searchsorted(flat[order], np.arange(self.experts + 1)).astype(np.int32)
        return [offsets, order.reshape(indices.shape)]

    def packed(self, glu, only):
        """Return the table and the bytes of all experts."""
        pieces, table, at = [], np.zeros((self.experts, 2), np.int64), 0
        for expert in self.order:
            scheme = only or self.schemes[expert]
            parts = [part[expert] for part in self.parts[scheme]]
            packed = (
                pack_glu(scheme, parts) if glu else pack_rows(scheme, [p[:ROWS] for p in parts])
            )
            pieces.append(np.pad(packed, (0, expert_stride(len(packed)) - len(packed))))
            table[expert] = (self.types.index(scheme), at)
            at += len(pieces[-1])
        entries = np.ascontiguousarray(table[:, 1]) if only else table
        return entries, np.concatenate(pieces)


@pytest.mark.parametrize(
    ("isa", "mixture", "glu"), list(zip(supported_isas(), cycle(MIXTURES), cycle([True, False])))
)
def test_an_expert_gives_what_it_gives_among_those_of_its_scheme(run, isa, mixture, glu):
    case = Mixture(run, *mixture, isa)
    chunk = case.product(glu, slice(0, N))
    of_expert = np.array(case.schemes)[case.indices]
    for scheme in case.types:
        alone = case.product(glu, slice(0, N), only=scheme)
        assert (of_expert == scheme).any()
        np.testing.assert_array_equal(chunk[of_expert == scheme], alone[of_expert == scheme])
    one = [case.product(glu, slice(t, t + 1), single=True) for t in (0, N - 1)]
    np.testing.assert_array_equal(np.concatenate(one), chunk[[0, N - 1]])


@pytest.mark.parametrize(
    ("number", "place", "expert"),
    [
        pytest.param(99, 1 << 62, 3, id="scheme-and-place-behind"),
        pytest.param(-1, -(1 << 62), 0, id="scheme-and-place-before"),
        pytest.param(1, (1 << 62) + 5, 3, id="place-between"),
    ],
)
def test_a_damaged_table_leads_to_another_expert_and_not_out_of_the_weights(
    run, number, place, expert
):
    """Whatever is no scheme's number is the last one's, whose experts are first and last here."""
    case = Mixture(run, ("bf16", "mxfp4", "mxfp4", "bf16", "mxfp4"), "f32", "avx2")
    case.order = np.array([0, 1, 2, 4, 3])
    case.bias[:] = 0
    whole = case.product(False, slice(0, N), only="bf16")
    case.damage = lambda table: np.broadcast_to(np.array([number, place]), table.shape).copy()
    result = case.product(False, slice(0, N))
    case.parts["bf16"] = [np.broadcast_to(p[expert], p.shape) for p in case.parts["bf16"]]
    case.damage = lambda table: table
    expected = case.product(False, slice(0, N), only="bf16")
    np.testing.assert_array_equal(result, expected)
    assert not np.array_equal(result, whole)


def test_the_bytes_of_an_expert_are_the_mean(run):
    case = Mixture(run, *MIXTURES[1], "avx2")
    kernel = expert_linear(
        scheme="mxfp4+bf16",
        activation="int8",
        experts=5,
        counts=(3, 2),
        hidden=ROWS,
        intermediate=COLUMNS,
        k=K,
        bias=False,
        n=1,
        isa="avx2",
    )
    _, weight = case.packed(False, None)
    assert kernel.cost.kind == ("expert_linear", "mxfp4+bf16", "int8")
    assert kernel.cost.bytes.per_expert == len(weight) // 5 + 16  # and an entry of the table
    assert kernel.cost.experts == 5


def test_floats_alone_do_not_meet_integers():
    with pytest.raises(LoweringError, match="multiplies bf16 weights with int8 activations"):
        expert_linear(
            scheme="bf16+f32",
            activation="int8",
            experts=5,
            counts=(3, 2),
            hidden=ROWS,
            intermediate=COLUMNS,
            k=K,
            bias=False,
            n=1,
            isa="avx2",
        )
