"""``ossc run``."""

import json

import pytest

from ossc.runtimes.session import Session
from synthetic.tiny_bundle import write_bundle

PROMPT = [5, 1, 30]
IDS = "5 1 30"


def greedy(bundle, count):
    with Session(bundle, threads=1) as session:
        return list(session.generate(PROMPT, max_new_tokens=count))


@pytest.mark.parametrize("ids", [IDS, "5,1,30", " 5,  1 30 "])
def test_without_a_tokenizer_token_ids_come_out(ossc, tiny_bundle, ids):
    result = ossc("run", tiny_bundle, "--token-ids", ids, "-n", 4)
    assert result.exit_code == 0
    assert [int(word) for word in result.stdout.split()] == greedy(tiny_bundle, 4)
    assert "prefill 3 tokens" in result.stderr


def test_with_a_tokenizer_text_comes_out(ossc, text_bundle):
    result = ossc("run", text_bundle, "-p", "w5 w1 w30", "-n", 4)
    assert result.stdout.split() == [f"w{i}" for i in greedy(text_bundle, 4)]


def test_json_has_ids_text_and_figures(ossc, text_bundle):
    result = ossc("run", text_bundle, "-p", "w5 w1 w30", "-n", 4, "--format", "json")
    assert (result.exit_code, result.stderr) == (0, "")
    fields = json.loads(result.stdout)
    assert fields.pop("token_ids") == greedy(text_bundle, 4)
    assert fields.pop("text").split() == [f"w{i}" for i in greedy(text_bundle, 4)]
    assert [fields.pop(name) for name in ("thinking", "channels", "finish_reason")] == [
        *(None, None, "length")
    ]
    assert fields.keys() == {
        "prefill_tokens",
        "prefill_tokens_per_s",
        "decode_tokens",
        "decode_tokens_per_s",
        "load_s",
        "peak_rss_bytes",
        "peak_anonymous_bytes",
    }
    assert all(value > 0 for value in fields.values())


def test_the_text_is_null_without_a_tokenizer(ossc, tiny_bundle):
    result = ossc("run", tiny_bundle, "--token-ids", IDS, "-n", 1, "--format", "json")
    assert json.loads(result.stdout)["text"] is None


def test_a_chat_goes_through_the_template(ossc, text_bundle):
    chat = ossc("run", text_bundle, "--chat", "-p", "w5 w1", "-n", 3)
    plain = ossc("run", text_bundle, "-p", "w7 w5 w1 w8", "-n", 3)
    assert chat.stdout == plain.stdout
    assert chat.exit_code == 0


def test_equal_seeds_sample_equal_tokens(ossc, tiny_bundle):
    options = ("--token-ids", IDS, "-n", 12, "--temp", 3, "--top-p", 0.9)
    runs = [ossc("run", tiny_bundle, *options, "--seed", seed).stdout for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("options", [("--threads", 2), ("--weights", "resident")])
def test_threads_and_residence_change_no_token(ossc, tiny_bundle, options):
    result = ossc("run", tiny_bundle, "--token-ids", IDS, "-n", 4, *options)
    assert [int(word) for word in result.stdout.split()] == greedy(tiny_bundle, 4)


@pytest.mark.parametrize(
    "options",
    [
        ("-n", "0"),
        ("-n", "1_0"),
        ("--temp", "-1"),
        ("--temp", "nan"),
        ("--temp", "1e39"),
        ("--top-p", "0"),
        ("--top-p", "1.5"),
        ("--seed", "-1"),
        ("--seed", str(2**64)),
        ("--threads", "0"),
        ("--threads", "1025"),
        ("--weights", "cached"),
        ("--format", "xml"),
    ],
)
def test_an_option_out_of_range_is_wrong_usage(ossc, tiny_bundle, options):
    result = ossc("run", tiny_bundle, "--token-ids", IDS, *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"Invalid value for '{options[0]}'" in result.stderr


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        pytest.param(("-p", "hi"), "tokenizer.json", id="no-tokenizer"),
        pytest.param(("--token-ids", "1 " * 25), "25 tokens", id="too-long"),
    ],
)
def test_a_prompt_that_cannot_be_run_is_refused(refusal, tiny_bundle, options, sentence):
    assert sentence in refusal("run", tiny_bundle, *options)


def test_a_damaged_bundle_is_refused(refusal, tiny_bundle):
    data = bytearray((tiny_bundle / "libossc_model.so").read_bytes())
    data[1000] ^= 1
    (tiny_bundle / "libossc_model.so").write_bytes(data)
    assert "does not have the hash in the manifest" in refusal(
        "run", tiny_bundle, "--token-ids", IDS
    )


def test_sampling_can_be_the_model_s(ossc, tiny_bundle):
    asked = {"do_sample": True, "temperature": 3.0, "top_k": 3, "repetition_penalty": 1.5}
    (tiny_bundle / "generation_config.json").write_text(json.dumps(asked))
    write_bundle(tiny_bundle)
    words = ("run", tiny_bundle, "--token-ids", IDS, "-n", 12)
    given = ossc(*words, "--temp", 3, "--top-k", 3, "--repeat-penalty", 1.5).stdout
    model = ossc(*words, "--sampling", "model")
    assert model.stdout == given != ossc(*words).stdout
    assert "sampling: repeat_penalty 1.5 temperature 3 top_p 1 top_k 3 min_p 0" in model.stderr
    greedy_again = ossc(*words, "--sampling", "model", "--temp", 0, "--repeat-penalty", 1)
    assert greedy_again.stdout == ossc(*words).stdout


def test_a_model_that_does_not_say_how_to_be_sampled_is_refused(refusal, tiny_bundle):
    sentence = refusal("run", tiny_bundle, "--token-ids", IDS, "--sampling", "model")
    assert "has no generation_config.json" in sentence
