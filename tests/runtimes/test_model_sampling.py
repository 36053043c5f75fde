"""The sampling that a model asks for."""

import json

import pytest

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.model_sampling import (
    model_sampling,
    parse_generation_config,
    read_model_sampling,
)
from ossc.targets.errors import SessionError
from synthetic.tiny_bundle import write_bundle

GREEDY = {"repeat_penalty": 1.0}
SAMPLED = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, GREEDY, id="nothing"),
        pytest.param({"temperature": 0.6}, GREEDY, id="without-do_sample"),
        pytest.param({"do_sample": False, "temperature": 0.6}, GREEDY, id="do-not-sample"),
        pytest.param({"repetition_penalty": 1.1}, {"repeat_penalty": 1.1}, id="greedy-penalty"),
        pytest.param(
            {"do_sample": True, "eos_token_id": [1, 7], "transformers_version": "5"},
            SAMPLED,
            id="gpt-oss",
        ),
        pytest.param(
            {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 0.1},
            SAMPLED | {"temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 0.1},
            id="all",
        ),
        pytest.param(
            {"do_sample": True, "num_beams": 1, "typical_p": 1.0, "bad_words_ids": []},
            SAMPLED,
            id="what-changes-nothing",
        ),
    ],
)
def test_the_fields_become_the_sampler_s_arguments(fields, expected):
    parsed = parse_generation_config(json.dumps(fields | {"top_h": None}).encode())
    assert model_sampling(parsed) == expected


@pytest.mark.parametrize(
    "field",
    [
        {"num_beams": 4},
        {"typical_p": 0.9},
        {"no_repeat_ngram_size": 3},
        {"suppress_tokens": [1]},
        {"something_new": 0.5},
    ],
)
def test_what_the_sampler_lacks_is_never_ignored(field):
    (name,) = field
    with pytest.raises(ValueError, match=f"asks for {name} .*, which ossc does not sample with"):
        model_sampling({"do_sample": True, **field})


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"temperature": "hot"}',
        '{"temperature": true}',
        '{"top_k": 1.5}',
        '{"do_sample": 1}',
    ],
)
def test_a_malformed_file_is_refused(text):
    with pytest.raises(ValueError, match=r"is not|which is|has to hold"):
        parse_generation_config(text.encode())


def test_a_bundle_s_file_is_read(tiny_bundle):
    (tiny_bundle / "generation_config.json").write_text('{"do_sample": true, "top_k": 5}')
    write_bundle(tiny_bundle)
    manifest = Bundle.open(tiny_bundle).manifest
    assert read_model_sampling(tiny_bundle, manifest) == SAMPLED | {"top_k": 5}


def test_a_bundle_that_does_not_say_is_refused(tiny_bundle):
    manifest = Bundle.open(tiny_bundle).manifest
    (tiny_bundle / "generation_config.json").write_text("{}")  # the manifest does not list it
    with pytest.raises(SessionError, match=r"has no generation_config\.json.*--temp"):
        read_model_sampling(tiny_bundle, manifest)


def test_a_bundle_that_asks_for_more_is_refused(tiny_bundle):
    (tiny_bundle / "generation_config.json").write_text('{"num_beams": 4}')
    write_bundle(tiny_bundle)
    manifest = Bundle.open(tiny_bundle).manifest
    with pytest.raises(SessionError, match=r"asks for num_beams 4, .*without|instead of"):
        read_model_sampling(tiny_bundle, manifest)
