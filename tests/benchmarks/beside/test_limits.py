"""What a token costs at least."""

import dataclasses

import pytest

from benchmarks.beside.limits import key_bytes, token_work
from benchmarks.beside.machine import Limits, median_limits, row_limit
from benchmarks.beside.noise import Sample
from benchmarks.beside.rows import Row
from ossc.compiler.families.source_model import read_model_config
from synthetic import GPT_OSS_20B, make_checkpoint


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return read_model_config(
        make_checkpoint(tmp_path_factory.mktemp("20b"), GPT_OSS_20B, sparse=True)
    )


LIMITS = Limits(
    threads=2, read_gb_per_s=26.0, read_huge_gb_per_s=52.0, f32_gflops=100.0, int8_gops=500.0
)


def test_bytes_of_a_token_of_gpt_oss_20b(config):
    work = token_work(config)
    assert work.decode_bytes("8bit") == pytest.approx(2.56e9, rel=0.01)  # 1269 + 677 + 615 MB
    assert work.decode_bytes("4bit") == pytest.approx(1.95e9, rel=0.01)


def test_sliding_layers_read_their_window_only(config):
    per_key = 2 * 8 * 64 * 2
    assert key_bytes(config, 16384, 2) == 12 * (16384 + 128) * per_key
    assert key_bytes(config, 100, 2) == 24 * 100 * per_key


def test_decoding_is_held_against_the_bandwidth_of_the_modes_pages(config):
    decode = Row(key="decode", title="decode", kind="decode", threads=2)
    limit = row_limit(decode, 500.0, config, "8bit")
    sample = Sample(value=5.1, read_gb_per_s=(26.0, 26.0), read_huge_gb_per_s=(52.0, 52.0))
    assert limit.percent("mapped", [sample]) == pytest.approx(50, rel=0.01)
    assert limit.percent("resident", [sample]) == pytest.approx(25, rel=0.01)
    deep = row_limit(dataclasses.replace(decode, amount=16384), 500.0, config, "8bit")
    assert deep.percent("mapped", [sample]) > 57


def test_a_prompt_is_held_against_arithmetic_and_a_start_against_nothing_known(config):
    prefill = Row(key="prefill_512", title="", kind="prefill", threads=2, amount=512)
    start = Row(key="start_warm", title="", kind="start", threads=2)
    samples = [Sample(value=83.0)]
    percent = row_limit(prefill, 500.0, config, "8bit").percent("mapped", samples)
    assert percent == pytest.approx(100, rel=0.05)
    assert row_limit(start, 500.0, config, "8bit").percent("mapped", samples) is None


def test_limits_of_several_rounds_are_their_medians():
    fast = dataclasses.replace(LIMITS, read_gb_per_s=60.0)
    slow = dataclasses.replace(LIMITS, read_gb_per_s=20.0, int8_gops=400.0)
    assert median_limits([fast, LIMITS, slow]) == LIMITS
