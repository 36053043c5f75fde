"""``ossc run``."""

import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from ossc.runtimes.run_report import RunReport
from ossc.runtimes.session import Session
from ossc.runtimes.tokenizer import BundleTokenizer
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
    ("options", "sentence"),
    [
        pytest.param((), "Give the prompt in one way: -p TEXT, -f FILE", id="none"),
        pytest.param(("-p", "w1", "--token-ids", "1"), "Give the prompt in one way", id="both"),
        pytest.param(("--token-ids", "1 two"), "--token-ids has 'two'; it has to be", id="words"),
        pytest.param(("--token-ids", "1_0"), "--token-ids has '1_0'", id="underscore"),
        pytest.param(("--token-ids", "\uff11"), "--token-ids has '\uff11'", id="wide-digit"),
        pytest.param(("--token-ids", "-1"), "--token-ids has '-1'", id="negative"),
        pytest.param(("--token-ids", "9" * 30), "--token-ids has '999", id="huge"),
        pytest.param(("--token-ids", ""), "The prompt has no tokens", id="no-ids"),
        pytest.param(("--token-ids", "40"), "Token id 40 is not in the vocabulary of", id="id"),
        pytest.param(("--chat", "--token-ids", "1"), "--chat is for a text", id="chat-ids"),
        pytest.param(("--reasoning", "low", "--token-ids", "1"), "--reasoning is", id="reason"),
        pytest.param(("-p", ""), "The prompt is empty", id="empty"),
        pytest.param(("-p", "\udcff"), "The prompt is not valid UTF-8", id="not-utf-8"),
        pytest.param(("-p", "a", "--system", ""), "--system is empty", id="empty-system"),
        pytest.param(("-f", "/nowhere"), "/nowhere cannot be read (No such file", id="no-file"),
        pytest.param(("-f", "/"), "/ cannot be read (Is a directory)", id="folder"),
        pytest.param(("-f", "/dev/zero"), "/dev/zero is longer than 16 MiB", id="endless"),
        pytest.param(("-p", "a", "--allow-control-tokens"), "--allow-control-tokens", id="control"),
        pytest.param(
            ("--messages", "m", "--system", "s"), "--messages holds the whole", id="messages"
        ),
    ],
)
def test_a_wrong_prompt_is_wrong_usage(refusal, tiny_bundle, options, sentence):
    assert refusal("run", tiny_bundle, *options, exit_code=2).startswith(sentence)


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


class Answering:
    """A model that speaks harmony, and gives the tokens of a test as its answer."""

    TOKENS = {"<|start|>": 33, "<|channel|>": 34, "<|message|>": 35, "<|end|>": 36}  # noqa: RUF012

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch
        monkeypatch.setattr(BundleTokenizer, "token_id", lambda _, token: self.TOKENS.get(token))
        for module in ("runtimes.harmony", "runtimes.answer", "compiler.cli.answer_printer"):
            monkeypatch.setattr(f"ossc.{module}.FINAL_CHANNEL", "w4")
        monkeypatch.setattr("ossc.runtimes.answer.ANALYSIS_CHANNEL", "w1")

    def __call__(self, token_ids, finish_reason="stop"):
        """Answer with these tokens from now on."""

        def run(_bundle, ids, options, on_token=lambda _: None):
            self.prompt_ids, self.options = ids, options
            for token_id in token_ids:
                on_token(token_id)
            return report(token_ids, finish_reason)

        self.monkeypatch.setattr("ossc.runtimes.run.run_bundle", run)


def report(token_ids, finish_reason):
    return RunReport(
        token_ids=tuple(token_ids),
        finish_reason=finish_reason,
        prefill_tokens=1,
        prefill_tokens_per_s=1.0,
        decode_tokens=1,
        decode_tokens_per_s=1.0,
        load_s=1.0,
        peak_rss_bytes=1,
        peak_anonymous_bytes=1,
    )


@pytest.fixture
def answering(monkeypatch):
    return Answering(monkeypatch)


ANSWER = [34, 1, 35, 2, 3, 36, 33, 34, 4, 35, 5]


def test_only_the_final_channel_of_a_chat_goes_to_stdout(ossc, text_bundle, answering):
    answering(ANSWER)
    result = ossc("run", text_bundle, "--chat", "-p", "w1")
    assert result.exit_code == 0, result.output
    assert result.stdout == "w5\n"
    assert "[w1] w2 w3" in result.stderr
    assert "w5" not in result.stderr


def test_thinking_can_be_hidden(ossc, text_bundle, answering):
    answering(ANSWER)
    result = ossc("run", text_bundle, "--chat", "-p", "w1", "--thinking", "hide")
    assert (result.exit_code, result.stdout) == (0, "w5\n")
    assert "w2" not in result.stderr


def test_the_json_of_a_chat_tells_channels_apart(ossc, text_bundle, answering):
    answering(ANSWER)
    result = ossc("run", text_bundle, "--chat", "-p", "w1", "--format", "json")
    fields = json.loads(result.stdout)
    assert (fields["text"], fields["thinking"]) == ("w5", "w2 w3")
    assert fields["channels"] == [
        {"channel": "w1", "text": "w2 w3"},
        {"channel": "w4", "text": "w5"},
    ]


def test_two_final_messages_are_lines_of_one_answer(ossc, text_bundle, answering):
    answering([34, 4, 35, 2, 36, 33, 34, 4, 35, 5])
    text = ossc("run", text_bundle, "--chat", "-p", "w1")
    assert text.stdout == "w2\nw5\n"
    fields = json.loads(ossc("run", text_bundle, "--chat", "-p", "w1", "--format", "json").stdout)
    assert fields["text"] == "w2\nw5"


def test_a_chat_may_fill_the_context(ossc, text_bundle, answering):
    answering([])
    ossc("run", text_bundle, "--chat", "-p", "w1")
    assert answering.options.max_new_tokens is None
    ossc("run", text_bundle, "--chat", "-p", "w1", "-n", 5)
    assert answering.options.max_new_tokens == 5
    ossc("run", text_bundle, "-p", "w1")
    assert answering.options.max_new_tokens == 128


@pytest.mark.parametrize(
    ("reason", "sentence", "status"),
    [
        ("stop", None, 0),
        ("length", "It was cut by -n 11; have more", 0),
        ("context", "larger --context", 0),
        ("interrupted", "It was interrupted; this is", 130),
    ],
)
def test_an_answer_that_was_cut_says_so(ossc, text_bundle, answering, reason, sentence, status):
    answering(ANSWER, reason)
    text = ossc("run", text_bundle, "--chat", "-p", "w1")
    data = ossc("run", text_bundle, "--chat", "-p", "w1", "--format", "json")
    assert (text.exit_code, data.exit_code) == (status, status)
    assert json.loads(data.stdout)["finish_reason"] == reason
    assert data.stderr == ""
    *_, last = text.stderr.splitlines()
    assert (sentence or "peak memory") in last


@pytest.mark.parametrize("source", ["-p", "-f"])
def test_a_prompt_comes_from_a_file_or_stdin(ossc, text_bundle, tmp_path, source):
    (tmp_path / "prompt").write_text("w5 w1")
    expected = ossc("run", text_bundle, "-p", "w5 w1", "-n", 3).stdout
    given = ("-p", "-") if source == "-p" else ("-f", tmp_path / "prompt")
    assert ossc("run", text_bundle, *given, "-n", 3, stdin="w5 w1").stdout == expected


def test_token_ids_come_from_stdin(ossc, tiny_bundle):
    result = ossc("run", tiny_bundle, "--token-ids", "-", "-n", 2, stdin=f"{IDS}\n")
    assert [int(word) for word in result.stdout.split()] == greedy(tiny_bundle, 2)


@pytest.mark.parametrize("from_stdin", [False, True])
def test_messages_are_the_conversation(ossc, text_bundle, tmp_path, answering, from_stdin):
    answering([])
    text = json.dumps([{"role": "user", "content": "w5 w1"}])
    (tmp_path / "messages").write_text(text)
    name = "-" if from_stdin else tmp_path / "messages"
    result = ossc("run", text_bundle, "--messages", name, stdin=text)
    assert result.exit_code == 0, result.output
    assert answering.prompt_ids == [7, 5, 1, 8]


TEMPLATE = (
    "{% for message in messages %}w{{ '1' if message.role == 'user' else '2' }} "
    "{{ message.content }} {% endfor %}{{ reasoning_effort | default('medium') | length }}"
)


@pytest.fixture
def chat_bundle(text_bundle):
    """With a template that reads instructions and the reasoning effort."""
    return with_template(text_bundle, TEMPLATE)


def with_template(bundle, template):
    (bundle / "chat_template.jinja").write_text(template)
    return write_bundle(bundle)


def test_instructions_come_before_the_prompt(ossc, chat_bundle, answering):
    answering([])
    result = ossc("run", chat_bundle, "-p", "w9", "--developer", "w5", "--system", "w4")
    assert result.exit_code == 0, result.output
    assert answering.prompt_ids == [2, 4, 2, 5, 1, 9, 0]
    assert answering.options.max_new_tokens is None  # they imply --chat


def test_the_reasoning_effort_reaches_the_template(ossc, text_bundle, answering):
    answering([])
    bundle = with_template(text_bundle, "w{{ (reasoning_effort | default('medium')) | length }}")
    for effort, length in (("low", 3), ("high", 4), ("medium", 6)):
        assert ossc("run", bundle, "-p", "w9", "--reasoning", effort).exit_code == 0
        assert answering.prompt_ids == [length]


@pytest.mark.parametrize(
    ("template", "options", "sentence"),
    [
        pytest.param("{{ messages[0].content }}", ("--reasoning", "low"), "does not read", id="r"),
        pytest.param(
            "{{ messages[0].content }}",
            ("--system", "w1", "--developer", "w2"),
            "leaves out the developer message",
            id="developer",
        ),
        pytest.param(
            "{{ messages[-1].content }}",
            ("--system", "w1"),
            "leaves out the system message",
            id="system",
        ),
    ],
)
def test_what_the_template_ignores_is_refused(refusal, text_bundle, template, options, sentence):
    bundle = with_template(text_bundle, template)
    assert sentence in refusal("run", bundle, "-p", "w9", *options, exit_code=2)


def test_a_file_that_is_not_utf_8_is_refused(refusal, text_bundle, tmp_path):
    (tmp_path / "prompt").write_bytes(b"w1 \xff")
    sentence = refusal("run", text_bundle, "-f", tmp_path / "prompt", exit_code=2)
    assert "is not valid UTF-8 (byte 3 is 0xff)" in sentence


def test_a_bundle_without_a_template_has_no_chat(refusal, text_bundle):
    (text_bundle / "chat_template.jinja").unlink()
    assert "has no chat template" in refusal("run", write_bundle(text_bundle), "--chat", "-p", "w1")
