"""One bundle, three types of KV caches: close to each other, each the same however it is run."""

import subprocess

import numpy as np
import pytest

from compiled import Build, Compiled
from ossc.runtimes.kv_type import KV_TYPES
from ossc.runtimes.session import Session
from ossc.targets.errors import OsscError, SessionError
from tolerances import KV_LOGITS

CONTEXT = 700
"""More than the 512 positions of a section."""

BUILD = Build(context=CONTEXT, kv_types=KV_TYPES)


@pytest.fixture(scope="module")
def model(compiled) -> Compiled:
    return compiled(BUILD)


@pytest.fixture(scope="module")
def ids() -> list[int]:
    """Enough tokens for two sections, and many windows of the sliding layers."""
    return np.random.default_rng(3).integers(0, BUILD.shape.vocab_size, 600).tolist()


@pytest.fixture(scope="module")
def logits(model, ids) -> dict[str, np.ndarray]:
    """``[n, vocab_size]`` of the whole text for each type."""
    result = {}
    for kv in KV_TYPES:
        with Session(model.bundle, 2, kv=kv) as session:
            result[kv] = session.prefill(ids, all_logits=True)
    return result


@pytest.mark.parametrize("kv", ["f16", "int8"])
def test_a_shorter_type_is_close_to_float32(logits, kv):
    exact = logits["f32"]
    errors = np.abs(logits[kv] - exact).max(axis=1) / np.abs(exact).max(axis=1)
    assert 0 < np.median(errors) < KV_LOGITS[kv]


@pytest.mark.parametrize("kv", KV_TYPES)
@pytest.mark.parametrize("threads", [1, 3])
def test_a_token_alone_has_the_bits_that_it_has_in_a_chunk(model, ids, logits, kv, threads):
    with Session(model.bundle, threads, kv=kv) as session:
        assert session.kv == kv
        session.prefill(ids[:500])
        for position in range(500, 530):
            one = session.decode(ids[position])
            np.testing.assert_array_equal(one, logits[kv][position])


@pytest.mark.parametrize("kv", KV_TYPES)
def test_the_context_has_the_same_end_for_each_type(model, ids, kv):
    with Session(model.bundle, 2, kv=kv) as session:
        session.prefill((ids * 2)[:CONTEXT])
        with pytest.raises(SessionError, match="do not fit into the context"):
            session.decode(1)
        assert session.position == CONTEXT


def test_the_manifest_says_what_each_type_takes(model):
    with Session(model.bundle) as session:
        memory = session.manifest.memory
        assert session.kv == memory.default_kv == "f32"
    assert memory.kv["f16"].kv_bytes * 2 == memory.kv["f32"].kv_bytes
    assert memory.kv["int8"].kv_bytes < 0.6 * memory.kv["f16"].kv_bytes
    for entry in memory.kv.values():
        assert 0 < entry.kv_bytes_per_token < entry.kv_bytes < entry.state_bytes


@pytest.mark.parametrize("kv", KV_TYPES)
def test_the_program_takes_the_type_too(model, ids, kv):
    command = [f"{model.bundle}/ossc-run", str(model.bundle), "--kv", kv, "-n", "5"]
    prompt = " ".join(map(str, ids[:9]))
    printed = subprocess.run(
        [*command, "--token-ids", prompt], capture_output=True, text=True, check=True
    ).stdout
    with Session(model.bundle, kv=kv) as session:
        expected = list(session.generate(ids[:9], max_new_tokens=5))
    assert [int(word) for word in printed.split()] == expected


def test_a_test_s_own_bundle_that_lacks_a_type_refuses_it(compiled):
    with pytest.raises(OsscError, match="kernel"):
        Session(compiled(Build()).bundle, kv="int8")
