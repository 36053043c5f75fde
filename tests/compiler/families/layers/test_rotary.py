"""Frequencies against transformers, and against themselves on every machine."""

import hashlib
from decimal import Decimal, localcontext

import numpy as np
import pytest
from transformers import GptOssConfig
from transformers.models.gpt_oss.modeling_gpt_oss import GptOssRotaryEmbedding

from ossc.compiler.families.fields.rope_types import RopeParameters
from ossc.compiler.families.layers.rotary import inverse_frequencies


def yarn(theta: float = 150000.0, *, truncate: bool = False, factor: float = 32.0):
    return RopeParameters(
        rope_theta=theta,
        rope_type="yarn",
        factor=factor,
        original_max_position_embeddings=4096,
        truncate=truncate,
    )


@pytest.mark.parametrize("head_dim", [2, 6, 20, 64, 128])
@pytest.mark.parametrize("truncate", [False, True])
@pytest.mark.parametrize("theta", [10000.0, 150000.0, 1234567.8])
def test_yarn_is_within_two_last_bits_of_transformers(head_dim, truncate, theta):
    rope = yarn(theta, truncate=truncate)
    parameters = {
        "rope_type": "yarn",
        "rope_theta": theta,
        "factor": 32.0,
        "original_max_position_embeddings": 4096,
        "truncate": truncate,
    }
    config = GptOssConfig(head_dim=head_dim, rope_parameters=parameters)
    expected = GptOssRotaryEmbedding(config).inv_freq.numpy()
    actual = inverse_frequencies(rope, head_dim)
    assert actual.dtype == np.float32
    np.testing.assert_allclose(actual, expected, rtol=2**-22)


def test_a_ramp_without_length_is_that_of_transformers():
    parameters = {
        "rope_type": "yarn",
        "rope_theta": 150000.0,
        "factor": 32.0,
        "original_max_position_embeddings": 6,  # less than one rotation
        "truncate": True,
    }
    config = GptOssConfig(head_dim=64, rope_parameters=parameters)
    expected = GptOssRotaryEmbedding(config).inv_freq.numpy()
    rope = RopeParameters(**parameters)
    np.testing.assert_allclose(inverse_frequencies(rope, 64), expected, rtol=2**-22)


def test_without_yarn_each_frequency_is_the_correctly_rounded_power():
    rope = RopeParameters(rope_theta=500000.0, rope_type="default")
    with localcontext(prec=50):
        for i, frequency in enumerate(inverse_frequencies(rope, 64)):
            wavelength = Decimal(500000) ** (Decimal(2 * i) / 64)
            assert frequency == np.float32(1) / np.float32(float(wavelength))


def test_the_bits_are_the_same_on_every_machine():
    bits = inverse_frequencies(yarn(), 64).tobytes()
    assert hashlib.sha256(bits).hexdigest()[:16] == "82f7190c61e6e3b5"
