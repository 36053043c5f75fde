"""Running a bundle from Python."""

import numpy as np
import pytest

from ossc.runtimes import devices
from ossc.runtimes import library as library_module
from ossc.runtimes.manifest import HostEntry, TargetEntry
from ossc.runtimes.session import Session
from ossc.targets.errors import BundleError, SessionError
from ossc.targets.machine import Machine, this_machine
from synthetic.tiny_bundle import reference_logits, write_bundle
from synthetic.tiny_plan import CHUNK, CONTEXT, VOCAB

PROMPT = [5, 1, 30, 30, 2, 0, 17, 8, 9, 38, 11]
CURSED = 39
"""A token that makes a kernel of the tests fail."""


@pytest.fixture
def session(tiny_bundle):
    with Session(tiny_bundle, threads=2, record_routing=True) as session:
        yield session


def assert_close(logits, reference):
    np.testing.assert_allclose(logits, reference, rtol=0, atol=1e-5)


@pytest.mark.parametrize("weights", ["mapped", "resident"])
@pytest.mark.parametrize("threads", [None, 1, 3])
def test_logits_are_those_of_the_model(tiny_bundle, threads, weights):
    with Session(tiny_bundle, threads, weights) as session:
        assert_close(session.prefill(PROMPT, all_logits=True), reference_logits(PROMPT))
        session.reset()
        assert_close(session.prefill(PROMPT), reference_logits(PROMPT)[-1])
        assert session.threads == (threads or session.threads)


def test_prefill_and_decode_continue_from_the_position(session):
    expected = session.prefill(PROMPT, all_logits=True)
    session.reset()
    session.prefill(PROMPT[:6])
    assert session.position == 6
    np.testing.assert_array_equal(session.decode(PROMPT[6]), expected[6])
    np.testing.assert_array_equal(session.prefill(np.array(PROMPT[7:])), expected[-1])
    assert (session.position, session.vocab_size, session.context) == (11, VOCAB, CONTEXT)


def test_logits_are_float32_and_stay_after_the_next_call(session):
    first = session.decode(3)
    copy = first.copy()
    session.decode(4)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(first, copy)


def test_routing_is_that_of_the_last_call(session):
    session.prefill(PROMPT)
    expected = [[[token % 4, (token + 1) % 4] for token in PROMPT]]
    np.testing.assert_array_equal(session.router_indices(), expected)
    first = session.router_indices()
    session.decode(7)
    np.testing.assert_array_equal(session.router_indices(), [[[3, 0]]])
    np.testing.assert_array_equal(first, expected)


def test_routing_that_is_not_recorded_cannot_be_asked_for(tiny_bundle):
    with Session(tiny_bundle, threads=1) as session:
        session.decode(1)
        with pytest.raises(SessionError, match="record_routing"):
            session.router_indices()


@pytest.mark.parametrize(
    ("token_ids", "message"),
    [
        pytest.param([1, VOCAB], "Token id 40 is not in the vocabulary of 40", id="too-large"),
        pytest.param([-1], "Token id -1 is not in the vocabulary", id="negative"),
        pytest.param([2**40], "Token id 1099511627776 is not", id="beyond-int32"),
        pytest.param(
            [1] * (CONTEXT - 2),
            "at position 3 do not fit into the context of 24; give fewer, reset",
            id="many",
        ),
        pytest.param([], "No tokens were given", id="none"),
        pytest.param([1.5], "not a list of integers", id="fraction"),
        pytest.param([1, True], "not a list of integers", id="bool"),
        pytest.param(7, "not a list of integers", id="number"),
        pytest.param([CURSED], "kernel test_embedding failed", id="failing-kernel"),
    ],
)
def test_a_refused_call_changes_nothing(session, token_ids, message):
    session.prefill([5, 1, 30])
    with pytest.raises(SessionError, match=message):
        session.prefill(token_ids)
    assert session.position == 3
    np.testing.assert_array_equal(session.router_indices()[0, :, 0], [1, 1, 2])
    assert_close(session.decode(2), reference_logits([5, 1, 30, 2])[-1])


def test_a_failure_after_the_first_chunk_needs_a_reset(session):
    with pytest.raises(SessionError, match="cursed"):
        session.prefill([*range(CHUNK), 1, CURSED])
    with pytest.raises(SessionError, match="reset it"):
        session.decode(1)
    session.reset()
    assert_close(session.decode(1), reference_logits([1])[0])


def test_greedy_generation_takes_the_largest_logit(session):
    token_ids, expected = list(PROMPT), []
    for _ in range(6):
        token_ids.append(int(reference_logits(token_ids)[-1].argmax()))
        expected.append(token_ids[-1])
    assert list(session.generate(PROMPT, max_new_tokens=6)) == expected


def test_generation_ends_before_a_stop_token(tiny_bundle, binaries):
    with Session(tiny_bundle, threads=1) as session:
        first = next(session.generate([5]))
    write_bundle(tiny_bundle, stop_token_ids=(first,))
    with Session(tiny_bundle, threads=1) as session:
        assert list(session.generate([5])) == []
        assert session.position == 1


def test_generation_ends_when_the_context_is_full(session):
    generated = list(session.generate(PROMPT, max_new_tokens=100))
    assert len(generated) == CONTEXT - len(PROMPT) + 1
    assert session.position == CONTEXT


def test_no_new_tokens_are_none(session):
    assert list(session.generate(PROMPT, max_new_tokens=0)) == []
    assert session.position == len(PROMPT)


def test_equal_seeds_draw_equal_tokens(session):
    def draw(seed):
        session.reset()
        return list(session.generate([5], max_new_tokens=20, temperature=2.0, seed=seed))

    assert draw(1) == draw(1) != draw(2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": -1.0}, "temperature is -1"),
        ({"temperature": 1e39}, r"temperature is 1e\+39"),
        ({"temperature": "warm"}, "temperature is 'warm'"),
        ({"top_p": 0.0}, "top_p is 0"),
        ({"top_p": float("nan")}, "top_p is nan"),
        ({"seed": 2**64 + 1}, "seed is 18446744073709551617"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 1.0}, r"seed is 1\.0"),
        ({"max_new_tokens": -1}, "max_new_tokens is -1"),
        ({"max_new_tokens": True}, "max_new_tokens is True"),
    ],
)
def test_sampling_options_are_checked(session, options, message):
    with pytest.raises(SessionError, match=message):
        next(session.generate([1], **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "threads is 0"),
        ({"threads": 2**32 + 1}, "threads is 4294967297; .* from 1 to 1024, or None"),
        ({"threads": True}, "threads is True"),
        ({"threads": "2"}, "threads is '2'"),
        ({"weights": "paged"}, "weights is 'paged'"),
        ({"weights": ["mapped"]}, "weights is"),
        ({"kv": 1}, "kv is 1"),
    ],
)
def test_session_options_are_checked(tiny_bundle, options, message):
    with pytest.raises(SessionError, match=message):
        Session(tiny_bundle, **options)


def test_a_closed_session_says_so(tiny_bundle):
    session = Session(tiny_bundle)
    session.close()
    session.close()
    with pytest.raises(SessionError, match="closed"):
        session.decode(1)


def test_what_is_no_path_is_refused():
    with pytest.raises(SessionError, match="bundle is 7; it has to be the path"):
        Session(7)


def test_the_largest_seed_is_not_cut(session):
    def draw(seed):
        sampler = session.sampler(temperature=1.0, seed=seed)
        return [sampler.sample(np.zeros(VOCAB, np.float32)) for _ in range(20)]

    assert draw(2**64 - 1) != draw(2**63 - 1)


def test_a_closed_sampler_says_so(session):
    sampler = session.sampler()
    sampler.close()
    with pytest.raises(SessionError, match="closed"):
        sampler.sample(np.zeros(VOCAB, np.float32))


def test_a_prompt_at_the_start_is_not_told_to_reset(session):
    with pytest.raises(SessionError, match=r"30 tokens do not fit .* give fewer, or compile"):
        session.prefill([1] * 30)


def test_two_sessions_do_not_share_their_tokens(tiny_bundle):
    with Session(tiny_bundle, threads=1) as a, Session(tiny_bundle, threads=2) as b:
        a.prefill(PROMPT)
        assert_close(b.decode(5), reference_logits([5])[0])


def forbid_loading(monkeypatch):
    def load(path):
        raise AssertionError(f"{path} was loaded")

    monkeypatch.setattr(devices, "Library", load)


@pytest.mark.parametrize(
    "name", ["manifest.json", "manifest.sha256", "plan.bin", "libossc_model.so"]
)
def test_a_changed_file_is_refused_before_code_is_loaded(tiny_bundle, monkeypatch, name):
    forbid_loading(monkeypatch)
    path = tiny_bundle / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError):
        Session(tiny_bundle)


def test_a_cut_weights_file_is_refused(tiny_bundle, monkeypatch):
    forbid_loading(monkeypatch)
    path = tiny_bundle / "weights.bin"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleError, match=r"weights\.bin has 2559 bytes"):
        Session(tiny_bundle)


def test_a_bundle_without_a_library_is_refused(tmp_path):
    with pytest.raises(BundleError, match=r"has no libossc_model\.so"):
        Session(write_bundle(tmp_path))


def test_a_library_that_cannot_be_loaded_is_refused(tmp_path):
    library = tmp_path / "libossc_model.so"
    library.write_bytes(b"\x7fELF nonsense")
    with pytest.raises(BundleError, match="cannot be loaded"):
        Session(write_bundle(tmp_path))


def test_a_library_of_another_version_is_refused(tiny_bundle, monkeypatch):
    monkeypatch.setattr(library_module, "API_VERSION", 1)
    with pytest.raises(BundleError, match="API version 4 and this ossc calls 1"):
        Session(tiny_bundle)


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        pytest.param(
            Machine(arch="riscv64", cpu_features=frozenset()),
            "this machine is riscv64",
            id="architecture",
        ),
        pytest.param(
            Machine(arch=this_machine().arch, cpu_features=frozenset({"fp", "pni"})),
            "lacks avx2, fma; compile the model with --target cpu",
            id="features",
        ),
    ],
)
def test_another_machine_is_refused_before_code_is_loaded(
    tiny_bundle, monkeypatch, machine, message
):
    forbid_loading(monkeypatch)
    monkeypatch.setattr(devices, "this_machine", lambda: machine)
    target = TargetEntry(
        name="cpu:t", host=HostEntry(arch=this_machine().arch, cpu_features=("avx2", "fma", "pni"))
    )
    write_bundle(tiny_bundle, target=target)
    with pytest.raises(SessionError, match=message):
        Session(tiny_bundle)


def test_memory_of_the_process_is_known(session):
    peak_rss_bytes, anonymous_bytes = session.process_memory()
    assert peak_rss_bytes >= anonymous_bytes > 0


def test_a_type_of_caches_that_the_bundle_has_no_plan_for_is_refused(tiny_bundle):
    with pytest.raises(BundleError, match="no plan for KV caches of type int8; it has f32"):
        Session(tiny_bundle, kv="int8")


def test_a_type_of_caches_that_there_is_not_is_refused(tiny_bundle):
    with pytest.raises(SessionError, match="kv is 'f8'; it has to be one of f32, f16, int8"):
        Session(tiny_bundle, kv="f8")


def test_a_repeat_penalty_keeps_tokens_from_coming_again(tiny_bundle):
    with Session(tiny_bundle, threads=1) as session:
        plain = list(session.generate([5], max_new_tokens=15))
        session.reset()
        penalized = list(session.generate([5], max_new_tokens=15, repeat_penalty=100.0))
    assert len({5, *plain}) < len(plain) + 1
    assert len({5, *penalized}) == len(penalized) + 1
