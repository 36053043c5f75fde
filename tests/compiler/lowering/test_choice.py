"""The first kernel that can is taken."""

from dataclasses import replace

import pytest

from ossc.compiler.backends.cpu.kernels.rms_norm import rms_norm
from ossc.compiler.lowering.choice import Candidate, KernelTable, Request
from ossc.compiler.lowering.kernel import Kernel
from ossc.compiler.lowering.library import KernelLibrary
from ossc.compiler.lowering.segment import LoweringOptions, SegmentBuilder
from ossc.targets import resolve_target
from ossc.targets.errors import LoweringError


def one_row_of_toys(**_parameters: object) -> Kernel:
    raise NotImplementedError


def wide(**_parameters: object) -> Kernel:
    raise NotImplementedError


def general(**_parameters: object) -> Kernel:
    raise NotImplementedError


TABLE = KernelTable(
    (
        Candidate(
            operation="Linear",
            build=one_row_of_toys,
            can=lambda request: request.rows == 1 and request.scheme == "toy",
            limits="one row of scheme toy",
        ),
        Candidate(
            operation="Linear",
            build=wide,
            can=lambda request: request.parameters["columns"] == 64,
            limits="64 columns",
        ),
        Candidate(operation="Norm", build=general),
    )
)

LINEAR = Request(
    operation="Linear", rows=1, scheme="toy", activation="f32", parameters={"columns": 64}
)


@pytest.mark.parametrize(
    ("request_", "build"),
    [
        pytest.param(LINEAR, one_row_of_toys, id="the-first-of-two"),
        pytest.param(replace(LINEAR, rows=None), wide, id="other-rows"),
        pytest.param(replace(LINEAR, scheme="bf16"), wide, id="other-scheme"),
        pytest.param(Request(operation="Norm", rows=None), general, id="the-only-one"),
    ],
)
def test_the_first_candidate_that_can_is_taken(request_, build):
    assert TABLE.choose(request_) is build


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        pytest.param(
            replace(LINEAR, rows=None, parameters={"columns": 32}),
            r"Linear of toy weights with f32 activations for any number of rows; there is "
            r"one_row_of_toys \(one row of scheme toy\), wide \(64 columns\)\. Choose",
            id="none-can",
        ),
        pytest.param(
            Request(operation="Rope", rows=1),
            r"No kernel computes Rope for 1 row; there is none for it\.",
            id="none-of-the-operation",
        ),
    ],
)
def test_what_no_candidate_can_is_refused_with_what_there_is(request_, refusal):
    with pytest.raises(LoweringError, match=refusal):
        TABLE.choose(request_)


@pytest.mark.parametrize("tokens", [1, 8])
def test_a_segment_gets_the_kernel_for_its_rows(tokens):
    table = KernelTable(
        (
            Candidate(operation="Norm", build=wide, can=lambda request: request.rows == 2),
            Candidate(operation="Norm", build=rms_norm),
        )
    )
    options = LoweringOptions(
        target=resolve_target("cpu"), activations="f32", context=8, prefill_chunk=8
    )
    segment = SegmentBuilder("decode", tokens, options, {}, KernelLibrary())
    parameters = {"hidden": 8, "epsilon": 0.5, "add": False, "n": segment.static_rows}
    kernel = table.kernel(segment, "Norm", **parameters)
    assert kernel.name == rms_norm(**parameters).name
    assert segment.library.kernels == {kernel.name: kernel}
