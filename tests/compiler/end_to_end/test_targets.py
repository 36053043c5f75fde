"""Targets with the portable kernels: what they generate is what the others generate."""

import numpy as np
import pytest

from compiled import Build, require_a_way_to_run, token_by_token
from ossc.runtimes.bundle import Bundle
from ossc.runtimes.run import run_bundle
from ossc.runtimes.run_report import RunOptions
from tolerances import BUNDLE_LOGITS

PROMPT_TOKENS = 150
"""More than a prefill chunk."""

OPTIONS = RunOptions(max_new_tokens=32)


def emulated(target: str, quant: str):
    return pytest.param(target, quant, marks=pytest.mark.emulated)


@pytest.mark.parametrize(
    ("target", "quant"),
    [
        ("cpu:x86-64-v2", "default"),
        emulated("cpu:aarch64", "default"),
        emulated("cpu:armv7", "default"),
        emulated("cpu:riscv64", "none"),
        emulated("cpu:riscv64-v", "default"),
    ],
)
def test_a_portable_target_generates_the_same_tokens(compiled, target, quant):
    require_a_way_to_run(target)
    here = compiled(Build(quant=quant))
    portable = compiled(Build(quant=quant, target=target))
    assert Bundle.open(portable.bundle).manifest.target.name == target
    prompt = here.token_ids(PROMPT_TOKENS)
    expected = run_bundle(here.bundle, prompt, OPTIONS)
    actual = run_bundle(portable.bundle, prompt, OPTIONS)
    assert len(expected.token_ids) == OPTIONS.max_new_tokens
    assert actual.token_ids == expected.token_ids


def test_portable_kernels_compute_the_same_logits(compiled):
    target = "cpu:x86-64-v2"
    require_a_way_to_run(target)
    here, portable = compiled(Build()), compiled(Build(target=target))
    ids = here.token_ids()
    with here.session() as session:
        expected = session.prefill(ids, all_logits=True)
    with portable.session() as session:
        actual = session.prefill(ids, all_logits=True)
        session.reset()
        np.testing.assert_array_equal(token_by_token(session, ids), actual)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=BUNDLE_LOGITS * expected.max())
