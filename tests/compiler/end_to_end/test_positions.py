"""Prompts of any length and calls in any order give the bits of token-by-token decode."""

import numpy as np
import pytest

from compiled import CONTEXT, Build, token_by_token
from model_shapes import BF16_SHAPES, BUNDLES, MXFP4_SHAPES
from ossc.runtimes.session import Session
from ossc.targets.errors import SessionError

SMALL_CONTEXT = 5
"""Less than a prefill chunk."""

INT8 = 'activations = "int8"'

CASES = [
    *(pytest.param(*model.values, "none", id=f"none-{model.id}") for model in BUNDLES),
    *(
        pytest.param(MXFP4_SHAPES[name], "mxfp4", "default", id=f"default-mxfp4-{name}")
        for name in ("default", "33-experts-top-3", "as-many-kv-heads")
    ),
    pytest.param(BF16_SHAPES["default"], "bf16", "default", id="default-bf16"),
    pytest.param(MXFP4_SHAPES["default"], "mxfp4", INT8, id="int8-mxfp4"),
]
"""Shape, layout of the experts and quantization plan."""

WINDOW, CHUNK = 8, 128
"""Of the default shape, and of the tests' builds."""

LENGTHS = [1, 2, WINDOW - 1, WINDOW, WINDOW + 1, 53, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 1]


@pytest.fixture
def model(compiled):
    return compiled(Build(quant="default"))


@pytest.fixture
def expected(model):
    """Logits of every position, token by token."""
    with model.session() as session:
        return token_by_token(session, model.token_ids())


@pytest.mark.parametrize(("shape", "experts", "quant"), CASES)
def test_prefill_is_token_by_token_decode(compiled, shape, experts, quant):
    model = compiled(Build(shape=shape, experts=experts, quant=quant))
    ids = model.token_ids()
    with model.session() as session:
        prefill = session.prefill(ids, all_logits=True)
        routing = session.router_indices()
        session.reset()
        decode = token_by_token(session, ids)
    np.testing.assert_array_equal(prefill, decode)
    assert routing.shape == (shape.num_hidden_layers, len(ids), shape.num_experts_per_tok)
    assert len(np.unique(routing)) == shape.num_local_experts, "the prompt chooses every expert"


@pytest.mark.parametrize("length", LENGTHS)
def test_a_prompt_of_any_length_is_token_by_token_decode(model, expected, length):
    ids = model.token_ids()
    with model.session() as session:
        np.testing.assert_array_equal(session.prefill(ids[:length]), expected[length - 1])
        np.testing.assert_array_equal(session.decode(ids[length]), expected[length])


def test_prefill_goes_on_where_decode_ended(model, expected):
    ids = model.token_ids()
    with model.session() as session:
        logits = np.concatenate(
            [
                session.prefill(ids[:11], all_logits=True),
                token_by_token(session, ids[11:16]),
                session.prefill(ids[16:217], all_logits=True),
                token_by_token(session, ids[217:220]),
                session.prefill(ids[220:], all_logits=True),
            ]
        )
        assert session.position == CONTEXT
    np.testing.assert_array_equal(logits, expected)


def test_after_a_reset_nothing_is_left_of_the_tokens_before(model, expected):
    ids = model.token_ids()
    with model.session() as session:
        session.prefill(ids[::-1])
        session.reset()
        assert session.position == 0
        np.testing.assert_array_equal(session.prefill(ids, all_logits=True), expected)


@pytest.mark.parametrize("threads", [1, 3])
def test_the_number_of_threads_does_not_change_a_bit(model, expected, threads):
    with model.session(threads) as session:
        np.testing.assert_array_equal(session.prefill(model.token_ids(), True), expected)


def test_resident_weights_do_not_change_a_bit(model, expected):
    with Session(model.bundle, weights="resident") as session:
        np.testing.assert_array_equal(session.prefill(model.token_ids(), True), expected)


def test_tokens_beyond_the_context_are_refused_and_change_nothing(model, expected):
    ids = model.token_ids()
    with model.session() as session:
        session.prefill(ids[: CONTEXT - 2])
        with pytest.raises(SessionError, match=r"3 tokens at position 298 .* context of 300"):
            session.prefill([1, 2, 3])
        assert session.position == CONTEXT - 2
        np.testing.assert_array_equal(session.decode(ids[-2]), expected[-2])
        np.testing.assert_array_equal(session.decode(ids[-1]), expected[-1])
        with pytest.raises(SessionError, match="context of 300"):
            session.decode(1)
        assert session.position == CONTEXT


@pytest.mark.parametrize("token_id", [512, 2**31, -1])
def test_a_token_outside_the_vocabulary_is_refused_and_changes_nothing(model, expected, token_id):
    ids = model.token_ids()
    with model.session() as session:
        session.prefill(ids[:20])
        with pytest.raises(SessionError, match=f"Token id {token_id} is not in the vocabulary"):
            session.prefill([3, token_id])
        assert session.position == 20
        np.testing.assert_array_equal(session.decode(ids[20]), expected[20])


def test_a_context_shorter_than_a_chunk_is_filled_to_its_end(compiled):
    model = compiled(Build(context=SMALL_CONTEXT))
    ids = model.token_ids(SMALL_CONTEXT)
    with model.session() as session:
        prefill = session.prefill(ids, all_logits=True)
        with pytest.raises(SessionError, match="context of 5"):
            session.decode(1)
        session.reset()
        with pytest.raises(SessionError, match="context of 5"):
            session.prefill([*ids, 1])
        np.testing.assert_array_equal(token_by_token(session, ids), prefill)
