"""The session that bundles are compared with."""

import tempfile

import numpy as np
import pytest

from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.reference import ReferenceSession, reference_logits
from ossc.compiler.passes.quantize_weights import QuantizeWeights
from ossc.compiler.quantization.plan import load_plan
from synthetic import make_checkpoint
from tolerances import PASS_LOGITS

IDS = list(range(40, 52))


@pytest.fixture
def model(tmp_path):
    return SourceModel.open(make_checkpoint(tmp_path)).export()


def test_one_run_and_token_by_token_agree(model):
    at_once = reference_logits(model, IDS)
    stepwise = reference_logits(model, IDS, tokens_a_run=1)
    assert at_once.logits.shape == (12, 512)
    assert at_once.router_indices.shape == (2, 12, 2)
    np.testing.assert_allclose(stepwise.logits, at_once.logits, rtol=0, atol=PASS_LOGITS)
    np.testing.assert_array_equal(stepwise.router_indices, at_once.router_indices)


def test_what_was_computed_for_a_session_is_removed(model, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    QuantizeWeights(load_plan("default"))(model)
    session = ReferenceSession(model)
    assert list((tmp_path / "scratch").iterdir()) == []
    assert np.isfinite(session.run(IDS).logits).all()


def test_a_session_goes_on_and_starts_again(model):
    session = ReferenceSession(model)
    first = session.run(IDS[:4]).logits
    session.run(IDS[4:])
    assert session.position == 12
    session.reset()
    np.testing.assert_array_equal(session.run(IDS[:4]).logits, first)
