"""The prompt of ``ossc run``: texts, files, conversations, token ids."""

import json

import pytest

from synthetic.tiny_bundle import write_bundle


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


@pytest.mark.parametrize("source", ["-p", "-f"])
def test_a_prompt_comes_from_a_file_or_stdin(ossc, text_bundle, tmp_path, source):
    (tmp_path / "prompt").write_text("w5 w1")
    expected = ossc("run", text_bundle, "-p", "w5 w1", "-n", 3).stdout
    given = ("-p", "-") if source == "-p" else ("-f", tmp_path / "prompt")
    assert ossc("run", text_bundle, *given, "-n", 3, stdin="w5 w1").stdout == expected


def test_token_ids_come_from_stdin(ossc, tiny_bundle):
    given = ossc("run", tiny_bundle, "--token-ids", "5 1 30", "-n", 2)
    read = ossc("run", tiny_bundle, "--token-ids", "-", "-n", 2, stdin="5 1 30\n")
    assert read.exit_code == 0
    assert read.stdout == given.stdout


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
            "{{ messages[0].content }} {{ strftime_now('%S.%f') }}",
            ("--reasoning", "low"),
            "does not read",
            id="with-a-clock",
        ),
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
