"""``ossc run``."""

import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from ossc.runtimes.session import Session
from synthetic.tiny_bundle import write_bundle
from synthetic.tiny_plan import VOCAB

PROMPT = [5, 1, 30]
IDS = "5 1 30"


def greedy(bundle, count):
    with Session(bundle, threads=1) as session:
        return list(session.generate(PROMPT, max_new_tokens=count))


@pytest.fixture
def text_bundle(tiny_bundle):
    """The tiny bundle with a tokenizer of one word for each id, and a chat template."""
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(VOCAB)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tiny_bundle / "tokenizer.json"))
    template = "w7 {{ messages[0].content }} w8"
    (tiny_bundle / "chat_template.jinja").write_text(template)
    for name in ("manifest.json", "manifest.sha256"):
        (tiny_bundle / name).unlink()
    return write_bundle(tiny_bundle)


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
    ("options", "sentence"),
    [
        pytest.param((), "Give the prompt either as -p TEXT or as --token-ids", id="none"),
        pytest.param(("-p", "w1", "--token-ids", "1"), "Give the prompt either as -p", id="both"),
        pytest.param(("--token-ids", "1 two"), "--token-ids is '1 two'; give whole", id="words"),
        pytest.param(("--chat", "--token-ids", "1"), "--chat puts a text into", id="chat-ids"),
    ],
)
def test_a_wrong_prompt_is_wrong_usage(refusal, tiny_bundle, options, sentence):
    assert refusal("run", tiny_bundle, *options, exit_code=2).startswith(sentence)


@pytest.mark.parametrize(
    "options",
    [
        ("-n", "0"),
        ("--temp", "-1"),
        ("--top-p", "0"),
        ("--top-p", "1.5"),
        ("--seed", "-1"),
        ("--threads", "0"),
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
        pytest.param(("--token-ids", "40"), "Token id 40 is not in the vocabulary of 40", id="id"),
        pytest.param(("--token-ids", "-1"), "Token id -1 is not in the vocabulary", id="negative"),
        pytest.param(("--token-ids", "9" * 30), "is not a list of integers", id="huge"),
        pytest.param(("--token-ids", ""), "token", id="empty"),
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


def test_only_the_final_channel_of_a_chat_goes_to_stdout(ossc, text_bundle, monkeypatch):
    monkeypatch.setattr("ossc.runtimes.harmony.speaks_harmony", lambda _: True)
    tokens = {"<|start|>": 33, "<|channel|>": 34, "<|message|>": 35, "<|end|>": 36}
    monkeypatch.setattr(
        "ossc.runtimes.tokenizer.BundleTokenizer.token_id", lambda _, token: tokens.get(token)
    )
    answer = [34, 1, 35, 2, 3, 36, 34, 4, 35, 5]
    monkeypatch.setattr("ossc.runtimes.harmony.FINAL_CHANNEL", "w4")

    def run(_bundle, _ids, _options, on_token):
        for token_id in answer:
            on_token(token_id)
        return "times"

    monkeypatch.setattr("ossc.runtimes.run.run_bundle", run)
    result = ossc("run", text_bundle, "--chat", "-p", "w1")
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == ["w5"]
    assert "[w1] w2" in result.stderr
    assert "w5" not in result.stderr
