"""Lines that are no commands: ``ossc-run --measure`` answers each with an error and goes on."""

import json
import random
import subprocess

import pytest

from synthetic.tiny_bundle import compile_c, runtime_sources, write_bundle
from synthetic.tiny_plan import CONTEXT, VOCAB

SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.fixture(scope="session", params=["plain", "sanitized"])
def program(request, binaries, c_objects, tmp_path_factory):
    if request.param == "plain":
        return binaries[1]
    probe = tmp_path_factory.mktemp("sanitized")
    (probe / "probe.c").write_text("int main(void) { return 0; }\n")
    command = ["gcc", *SANITIZERS, str(probe / "probe.c"), "-o", str(probe / "probe")]
    try:
        works = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        works = False
    if not works:
        pytest.skip("gcc with sanitizers is not installed")
    sources = runtime_sources(main=True)
    return compile_c(probe / "ossc-run", sources, SANITIZERS, ("gcc",), c_objects)


@pytest.fixture
def answers(program, tmp_path):
    bundle = write_bundle(tmp_path / "bundle")

    def obey(data):
        """The answers to bytes of input; a ``reset`` behind them has to be obeyed."""
        finished = subprocess.run(
            [program, bundle, "--measure", "--threads", "2"],
            input=data + b"\nreset\n",
            capture_output=True,
            check=False,
        )
        assert (finished.returncode, finished.stderr) == (0, b"")
        _, *lines = finished.stdout.decode("ascii").splitlines()
        parsed = [json.loads(line) for line in lines]
        assert parsed.pop() == {"position": 0}
        return parsed

    return obey


TOO_MANY = " ".join(["1"] * (CONTEXT + 1))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        pytest.param("", 'no command ""', id="empty"),
        pytest.param("  \t ", 'no command ""', id="spaces"),
        pytest.param("RESET", 'no command "RESET"', id="capitals"),
        pytest.param("resett", "no command", id="longer"),
        pytest.param("reset 1", '"1" is one word too many', id="surplus"),
        pytest.param("memory now", "one word too many", id="surplus-memory"),
        pytest.param("machine x", "one word too many", id="surplus-machine"),
        pytest.param("prefill", "No tokens", id="no-tokens"),
        pytest.param("decode", "No tokens", id="no-tokens-decode"),
        pytest.param("prefill 1 x", '"x"', id="word"),
        pytest.param("prefill 1.0", '"1.0"', id="fraction"),
        pytest.param("prefill 1,2", '"1,2"', id="comma"),
        pytest.param("prefill -1", '"-1"', id="negative"),
        pytest.param("decode 99999999999999999999", "whole number", id="huge"),
        pytest.param(f"prefill {VOCAB}", f"Token id {VOCAB} is not", id="vocabulary"),
        pytest.param(f"decode 1 2 {VOCAB}", f"Token id {VOCAB} is not", id="vocabulary-decode"),
        pytest.param(f"prefill {TOO_MANY}", "do not fit into the context", id="context"),
        pytest.param(f"decode {TOO_MANY}", "do not fit into the context", id="context-decode"),
        pytest.param("prefill 39", "cursed", id="kernel"),
        pytest.param("decode 1 39 1", "cursed", id="kernel-decode"),
        pytest.param("fill", "The position", id="no-position"),
        pytest.param("fill -1", "The position", id="negative-position"),
        pytest.param(f"fill {CONTEXT + 1}", f"give 0 to {CONTEXT}", id="position"),
        pytest.param("fill 1 2", "one word too many", id="two-positions"),
        pytest.param("threads many", "The number of threads", id="threads"),
        pytest.param("threads 1025", "1025 threads", id="too-many-threads"),
        pytest.param("times", "neither on nor off", id="no-switch"),
        pytest.param("routing maybe", "neither on nor off", id="switch"),
        pytest.param("times on off", "one word too many", id="two-switches"),
        pytest.param("probe", "number of threads", id="no-probe"),
        pytest.param("probe warp 1", 'no probe "warp"', id="probe"),
        pytest.param("probe f32 0", "number of threads", id="no-threads"),
        pytest.param("probe f32 1 64", "reads no buffer", id="size"),
        pytest.param("probe read 2", "cannot read 0 bytes", id="no-size"),
        pytest.param("probe read 2 100", "cannot read 100 bytes", id="small"),
        pytest.param("probe read 1 99999999999999", "The size", id="large"),
        pytest.param("probe f32 1 1 1", "one word too many", id="surplus-probe"),
        pytest.param('say "hello" \\ \x01\x7f é', "no command", id="characters"),
        pytest.param("%s%n%d", 'no command "%s%n%d"', id="format"),
    ],
)
def test_it_is_refused_with_a_reason(answers, line, message):
    (answer,) = answers(line.encode())
    assert list(answer) == ["error"]
    assert message in answer["error"]


def test_a_refused_decode_runs_none_of_its_tokens(answers):
    fits, _, refused = answers(
        f"decode {' '.join(['1'] * (CONTEXT - 1))}\ndecode 1 {VOCAB}\ndecode 1 1".encode()
    )
    assert len(fits["seconds"]) == CONTEXT - 1
    assert f"2 tokens at position {CONTEXT - 1} do not fit" in refused["error"]


def test_a_line_of_any_length_is_read_to_its_end(answers):
    (answer,) = answers(b"prefill " + b"1 " * (16 << 20))
    assert "longer than" in answer["error"]


def test_the_longest_line_that_is_read_is_read_whole(answers):
    length = (8 << 20) - 1
    fits, too_long = answers(b"reset".ljust(length) + b"\n" + b"reset".ljust(length + 1))
    assert fits == {"position": 0}
    assert "longer than" in too_long["error"]


def test_a_nul_does_not_hide_the_rest_of_a_line(answers):
    (answer,) = answers(b"reset\0 everything")
    assert 'no command "reset?"' in answer["error"]


@pytest.mark.parametrize("seed", range(3))
def test_garbage_is_answered_line_by_line(answers, seed):
    rng = random.Random(seed)
    words = [b"prefill", b"decode", b"threads", b"fill", b"times", b"on", b"1", b"-1", b"\xff", b""]
    lines = [
        rng.choice([rng.randbytes(rng.randrange(200)), b" ".join(rng.choices(words, k=4))])
        for _ in range(300)
    ]
    data = b"\n".join(line.replace(b"\n", b"") for line in lines)
    assert len(answers(data)) == len(lines)


def test_closed_input_ends_it(program, tmp_path):
    command = [program, write_bundle(tmp_path / "b"), "--measure"]
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *command], capture_output=True, check=False
    )
    assert closed.returncode == 0
    assert closed.stdout.count(b"\n") == 1


def test_closed_output_ends_it(program, tmp_path):
    command = [program, write_bundle(tmp_path / "b"), "--measure"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, **pipes) as process:
        process.stdout.readline()
        process.stdout.close()
        process.stdin.write(b"reset\n" * 10)
        process.stdin.close()
        assert process.wait(60) != 0
