"""The session that bundles are compared with."""

import numpy as np
import pytest

from ossc.compiler.checkpoint import Checkpoint
from ossc.compiler.export import export_model
from ossc.compiler.export.reference import ReferenceSession, reference_logits
from synthetic import make_checkpoint
from tolerances import PASS_LOGITS

IDS = list(range(40, 52))


@pytest.fixture
def model(tmp_path):
    return export_model(Checkpoint.open(make_checkpoint(tmp_path)))


def test_one_run_and_token_by_token_agree(model):
    at_once = reference_logits(model, IDS)
    stepwise = reference_logits(model, IDS, tokens_a_run=1)
    assert at_once.logits.shape == (12, 512)
    assert at_once.router_indices.shape == (2, 12, 2)
    np.testing.assert_allclose(stepwise.logits, at_once.logits, rtol=0, atol=PASS_LOGITS)
    np.testing.assert_array_equal(stepwise.router_indices, at_once.router_indices)


def test_a_session_goes_on_and_starts_again(model):
    session = ReferenceSession(model)
    first = session.run(IDS[:4]).logits
    session.run(IDS[4:])
    assert session.position == 12
    session.reset()
    np.testing.assert_array_equal(session.run(IDS[:4]).logits, first)
