"""What a token costs at least."""

import dataclasses

import pytest

from benchmarks.beside.limits import key_bytes, token_work
from benchmarks.beside.machine import Limits, median_limits, row_limits
from benchmarks.beside.rows import Row
from ossc.compiler.config import read_model_config
from synthetic import GPT_OSS_20B, make_checkpoint


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return read_model_config(
        make_checkpoint(tmp_path_factory.mktemp("20b"), GPT_OSS_20B, sparse=True)
    )


LIMITS = Limits(read_gb_per_s=26.0, read_huge_gb_per_s=52.0, f32_gflops=100.0, int8_gops=500.0)


def test_bytes_of_a_token_of_gpt_oss_20b(config):
    work = token_work(config)
    assert work.decode_bytes("8bit") == pytest.approx(2.56e9, rel=0.01)  # 1269 + 677 + 615 MB
    assert work.decode_bytes("4bit") == pytest.approx(1.95e9, rel=0.01)


def test_sliding_layers_read_their_window_only(config):
    per_key = 2 * 8 * 64 * 4
    assert key_bytes(config, 16384, 4) == 12 * (16384 + 128) * per_key
    assert key_bytes(config, 100, 4) == 24 * 100 * per_key


def test_decoding_is_limited_by_the_pages_of_its_mode(config):
    decode = Row(key="decode", title="decode", kind="decode", threads=2)
    rates = row_limits(decode, LIMITS, config, "8bit")
    assert rates["mapped"] == pytest.approx(10.2, rel=0.01)
    assert rates["resident"] == pytest.approx(2 * rates["mapped"])
    deep = row_limits(dataclasses.replace(decode, amount=16384), LIMITS, config, "8bit")
    assert deep["mapped"] < rates["mapped"]


def test_a_prompt_is_limited_by_arithmetic_and_a_start_by_nothing_known(config):
    prefill = Row(key="prefill_512", title="", kind="prefill", threads=2, amount=512)
    start = Row(key="start_warm", title="", kind="start", threads=2)
    assert row_limits(prefill, LIMITS, config, "8bit")["mapped"] == pytest.approx(83, rel=0.05)
    assert row_limits(start, LIMITS, config, "8bit") == {}


def test_limits_of_several_rounds_are_their_medians():
    fast = dataclasses.replace(LIMITS, read_gb_per_s=60.0)
    slow = dataclasses.replace(LIMITS, read_gb_per_s=20.0, int8_gops=400.0)
    assert median_limits([fast, LIMITS, slow]) == LIMITS
