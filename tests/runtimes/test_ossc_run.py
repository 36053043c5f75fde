"""The program ``ossc-run``: its options, output and exit status."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from ossc.runtimes.run_report import RunReport
from ossc.runtimes.session import Session
from synthetic.tiny_plan import CONTEXT

PROMPT = [5, 1, 30]
IDS = "5 1 30"


@pytest.fixture
def ossc_run(tiny_bundle):
    def run(*arguments, bundle=tiny_bundle, **options):
        command = [tiny_bundle / "ossc-run", bundle, *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    return run


def greedy(bundle, count):
    with Session(bundle, threads=1) as session:
        return list(session.generate(PROMPT, max_new_tokens=count))


@pytest.mark.parametrize("options", [(), ("--threads", 3), ("--weights", "resident")])
def test_token_ids_go_to_stdout_and_times_to_stderr(ossc_run, tiny_bundle, options):
    finished = ossc_run("--token-ids", IDS, "-n", 4, *options)
    assert finished.stdout == " ".join(map(str, greedy(tiny_bundle, 4))) + "\n"
    assert finished.returncode == 0
    assert "prefill 3 tokens" in finished.stderr


def test_json_has_the_fields_of_ossc_run(ossc_run, tiny_bundle):
    finished = ossc_run("--token-ids", IDS, "-n", 4, "--format", "json")
    fields = json.loads(finished.stdout)
    assert fields["text"] is None
    report = RunReport.from_json(finished.stdout)
    assert list(report.token_ids) == greedy(tiny_bundle, 4)
    assert (report.prefill_tokens, report.decode_tokens) == (3, 3)
    assert min(report.prefill_tokens_per_s, report.decode_tokens_per_s, report.load_s) > 0
    assert report.peak_rss_bytes >= report.peak_anonymous_bytes > 0


@pytest.mark.parametrize("separator", [" ", ",", ", ", "\n"])
def test_the_prompt_can_come_from_stdin(ossc_run, tiny_bundle, separator):
    prompt = separator.join(map(str, PROMPT)) + "\n"
    finished = ossc_run("--token-ids", "-", "-n", 2, input=prompt)
    assert finished.stdout.split() == [str(token_id) for token_id in greedy(tiny_bundle, 2)]


def test_a_prompt_longer_than_an_argument_is_read(ossc_run):
    finished = ossc_run("--token-ids", "-", input="1 " * 300_000)
    assert "300000 tokens do not fit" in finished.stderr
    assert "reset" not in finished.stderr
    assert finished.returncode == 1


def test_a_seed_gives_the_draws_of_the_session(ossc_run, tiny_bundle):
    options = ("--temp", 2.0, "--top-p", 0.9, "--seed", 11, "-n", 8)
    drawn = [int(token_id) for token_id in ossc_run("--token-ids", IDS, *options).stdout.split()]
    with Session(tiny_bundle, threads=1) as session:
        sampling = {"temperature": 2.0, "top_p": 0.9, "seed": 11}
        assert drawn == list(session.generate(PROMPT, max_new_tokens=8, **sampling))


def test_nothing_is_generated_when_nothing_is_wanted(ossc_run):
    finished = ossc_run("--token-ids", IDS, "-n", 0)
    assert (finished.stdout, finished.returncode) == ("\n", 0)


def test_generation_ends_when_the_context_is_full(ossc_run):
    finished = ossc_run("--token-ids", IDS, "-n", 1000)
    assert len(finished.stdout.split()) == CONTEXT - len(PROMPT) + 1
    assert finished.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param((), "No prompt was given", id="no-prompt"),
        pytest.param(("--token-ids", ""), "No prompt was given", id="empty-prompt"),
        pytest.param(("--token-ids", "1 x"), 'has "x"', id="word"),
        pytest.param(("--token-ids", "1.5"), 'has "1.5"', id="fraction"),
        pytest.param(("--token-ids", "-1"), 'has "-1"', id="negative"),
        pytest.param(("--token-ids", "99999999999"), "whole numbers", id="huge"),
        pytest.param(("--token-ids", "40"), "Token id 40 is not in the vocabulary", id="unknown"),
        pytest.param(("--token-ids",), "--token-ids has no value", id="no-value"),
        pytest.param(("--token-ids", "1", "-n", "x"), '-n is "x"', id="count"),
        pytest.param(("--token-ids", "1", "-n", "-1"), '-n is "-1"', id="negative-count"),
        pytest.param(("--token-ids", "1", "--temp", "warm"), '--temp is "warm"', id="temperature"),
        pytest.param(("--token-ids", "1", "--temp", "-1"), "temperature is -1", id="cold"),
        pytest.param(("--token-ids", "1", "--temp", "1e39"), "from 0 to 3.4e38", id="hot"),
        pytest.param(("--token-ids", "1", "--top-p", "2"), "top_p is 2", id="top-p"),
        pytest.param(
            ("--token-ids", "1", "--weights", "paged"), "mapped or resident", id="weights"
        ),
        pytest.param(("--token-ids", "1", "--kv", "f8"), "f32, f16 or int8", id="kv"),
        pytest.param(("--token-ids", "1", "--format", "xml"), "text or json", id="format"),
        pytest.param(("--token-ids", "1", "--threads", "5000"), "5000 threads", id="threads"),
        pytest.param(("--speed", "1"), "no option --speed", id="option"),
        pytest.param(("second", "--token-ids", "1"), "one bundle too many", id="bundles"),
    ],
)
def test_wrong_usage_ends_with_2(ossc_run, arguments, message):
    finished = ossc_run(*arguments)
    assert message in finished.stderr
    assert finished.stderr.count("\n") == 1
    assert (finished.stdout, finished.returncode) == ("", 2)


def test_a_damaged_bundle_ends_with_1(ossc_run, tiny_bundle):
    (tiny_bundle / "plan.bin").write_bytes(b"")
    finished = ossc_run("--token-ids", "1")
    assert "plan.bin has 0 bytes" in finished.stderr
    assert finished.returncode == 1


def test_a_directory_that_is_no_bundle_ends_with_1(ossc_run, tmp_path):
    finished = ossc_run("--token-ids", "1", bundle=tmp_path / "nowhere")
    assert "No such file or directory" in finished.stderr
    assert finished.returncode == 1


GENERATION = ("--token-ids", IDS, "-n", "20")


def run_into(stdout, bundle, *arguments):
    command = [bundle / "ossc-run", *arguments]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


def is_one_sentence_on_output(finished):
    """Whether it stopped there: no times are printed of a run that failed."""
    return (
        "ossc-run: The output cannot be written" in finished.stderr
        and finished.stderr.count("\n") == 1
        and finished.returncode == 1
    )


@pytest.mark.parametrize("help_only", [False, True])
def test_a_full_disk_ends_the_run_with_1(tiny_bundle, help_only):
    arguments = ("--help",) if help_only else (tiny_bundle, *GENERATION)
    with Path("/dev/full").open("w") as full:
        assert is_one_sentence_on_output(run_into(full, tiny_bundle, *arguments))


@pytest.mark.parametrize("output", ["text", "json"])
def test_a_pipe_without_a_reader_ends_the_run_with_1(tiny_bundle, output):
    reader, writer = os.pipe()
    os.close(reader)
    arguments = (tiny_bundle, *GENERATION, "--format", output)
    assert is_one_sentence_on_output(run_into(writer, tiny_bundle, *arguments))
    os.close(writer)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",)])
def test_closed_stdout_ends_with_1(tiny_bundle, arguments):
    command = ["sh", "-c", 'exec "$0" "$@" >&-', tiny_bundle / "ossc-run", *arguments]
    finished = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    assert is_one_sentence_on_output(finished)


def test_weights_that_are_cut_while_mapped_end_the_run_with_1(tiny_bundle):
    """The file goes while the bundle is open and waits for commands."""
    command = [tiny_bundle / "ossc-run", tiny_bundle, "--measure", "--threads", "2"]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **streams) as process:
        process.stdout.readline()
        os.truncate(tiny_bundle / "weights.bin", 0)
        answer, _ = process.communicate("decode 1 1\n")
    assert "weights.bin was cut" in json.loads(answer)["error"]


@pytest.mark.parametrize(("option", "text"), [("--help", "--token-ids IDS"), ("--version", "API")])
def test_help_and_version_need_no_prompt(ossc_run, option, text):
    finished = ossc_run(option)
    assert text in finished.stdout
    assert finished.returncode == 0
