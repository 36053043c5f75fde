"""The commands of ``ossc-run --measure`` and their answers."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from ossc.runtimes.session import Session
from synthetic.tiny_bundle import C_RUNTIME
from synthetic.tiny_plan import ARENA_BYTES, CHUNK, CONTEXT, STATE_BYTES, WEIGHTS_BYTES

PROMPT = [5, 1, 30, 30, 2, 0, 17]
IDS = " ".join(map(str, PROMPT))


@pytest.fixture
def measure(tiny_bundle):
    def obey(*commands, threads=2, options=()):
        """The answers to commands, without the first line."""
        arguments = ["--measure", "--threads", str(threads), *options]
        finished = subprocess.run(
            [tiny_bundle / "ossc-run", tiny_bundle, *arguments],
            input="".join(f"{command}\n" for command in commands),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (finished.returncode, finished.stderr) == (0, "")
        hello, *answers = map(json.loads, finished.stdout.splitlines())
        assert hello["protocol"] == 2
        assert len(answers) == len(commands)
        return answers

    return obey


def argmax(bundle, token_ids):
    with Session(bundle, threads=1) as session:
        return int(np.argmax(session.prefill(token_ids)))


def test_the_first_line_says_what_was_opened(tiny_bundle):
    command = [tiny_bundle / "ossc-run", tiny_bundle, "--measure", "--threads", "3"]
    finished = subprocess.run(command, input=b"", capture_output=True, check=True)
    hello = json.loads(finished.stdout)
    assert hello.pop("load_s") > 0
    assert hello["device"].pop("memory_bytes") > 1e9
    assert hello == {
        "protocol": 2,
        "threads": 3,
        "weights_bytes": WEIGHTS_BYTES,
        "state_bytes": STATE_BYTES,
        "arena_bytes": ARENA_BYTES,
        "target": "cpu:test",
        "instruction_set": "special",
        "device": {
            "kind": "cpu",
            "index": 0,
            "platform": "Linux",
            "name": "the CPU of this machine",
            "type": "cpu",
            "driver": "",
            "shares_memory": True,
            "has_probes": False,
        },
    }


def test_prefill_answers_with_its_time_and_the_likeliest_token(measure, tiny_bundle):
    (answer,) = measure(f"prefill {IDS}")
    assert set(answer) == {"seconds", "argmax", "waited_s"}
    assert answer["argmax"] == argmax(tiny_bundle, PROMPT)
    assert 0 < answer["seconds"] < 10
    assert 0 <= answer["waited_s"] < 10


def test_decode_runs_each_token_as_a_call_of_its_own(measure, tiny_bundle):
    decoded, prefilled = measure(f"decode {IDS}", "prefill 3")
    assert set(decoded) == {"seconds", "argmax", "waited_s"}
    assert len(decoded["seconds"]) == len(PROMPT)
    assert min(decoded["seconds"]) > 0
    expected = [argmax(tiny_bundle, PROMPT[: i + 1]) for i in range(len(PROMPT))]
    assert decoded["argmax"] == expected
    assert prefilled["argmax"] == argmax(tiny_bundle, [*PROMPT, 3])


def test_the_times_of_a_prefill_name_its_chunks(measure):
    _, answer, _, plain = measure("times on", f"prefill {IDS}", "times off", "prefill 1")
    times = answer["times"]
    full, rest = divmod(len(PROMPT), CHUNK)
    assert (full, rest) == (1, 3)
    assert times["segment"] == [1] * 8 + [2]
    assert times["step"] == [0, 1, 2, 3] * 2 + [0]
    assert times["num_tokens"] == [CHUNK] * 4 + [rest] * 4 + [1]
    assert len(times["ns"]) == 9
    assert len(times["thread_ns"]) == 9 * 2 * 2
    assert "times" not in plain


def test_the_times_of_steps_add_up_to_the_call(measure):
    """But for the way into and out of it, which a call as short as this one may feel."""
    repeated = ["reset", f"prefill {IDS}"] * 9
    calls = [call for call in measure("times on", *repeated, threads=1) if "seconds" in call]
    shares = [sum(call["times"]["ns"]) / (1e9 * call["seconds"]) for call in calls]
    assert max(shares) <= 1
    assert np.median(shares) > 0.2


def test_the_times_of_threads_lie_in_their_steps(measure):
    _, answer = measure("times on", f"decode {IDS}", threads=3)
    for times in answer["times"]:
        ends = np.cumsum(times["ns"])
        begins = ends - times["ns"]
        threads = np.array(times["thread_ns"]).reshape(len(ends), 3, 2)
        busy = threads[:, :, 1] > 0
        assert busy.any(axis=1).all()
        assert (threads[~busy] == 0).all()
        # Each end of a step is rounded to a ns by itself.
        assert (threads[:, :, 0] >= begins[:, None] - 1)[busy].all()
        assert (threads[:, :, 1] <= ends[:, None] + 1)[busy].all()


def test_decode_gives_times_and_routing_of_every_token(measure):
    _, _, answer = measure("times on", "routing on", f"decode {IDS}")
    assert [times["num_tokens"] for times in answer["times"]] == [[1] * 5] * len(PROMPT)
    begins = [times["begin_ns"] for times in answer["times"]]
    assert begins == sorted(set(begins))
    assert answer["routing"] == [[i % 4, (i + 1) % 4] for i in PROMPT]


def test_prefill_gives_the_routing_of_every_token(measure):
    _, answer, _, plain = measure("routing on", f"prefill {IDS}", "routing off", "prefill 1")
    assert answer["routing"] == [expert for i in PROMPT for expert in (i % 4, (i + 1) % 4)]
    assert "routing" not in plain


def test_observing_does_not_move_the_position(measure, tiny_bundle):
    *_, answer = measure(f"prefill {IDS}", "times on", "routing on", "decode 3")
    assert answer["argmax"] == [argmax(tiny_bundle, [*PROMPT, 3])]


def test_reset_forgets_the_tokens(measure, tiny_bundle):
    _, reset, answer = measure(f"prefill {IDS}", "reset", "prefill 3")
    assert reset == {"position": 0}
    assert answer["argmax"] == argmax(tiny_bundle, [3])


def test_fill_stands_at_a_position(measure):
    filled, decoded, refused = measure(f"fill {CONTEXT - 1}", "decode 3", "decode 3")
    assert filled == {"position": CONTEXT - 1}
    assert len(decoded["seconds"]) == 1
    assert "do not fit into the context" in refused["error"]


def test_threads_begins_a_session_that_observes_the_same(measure):
    *_, threads, answer = measure("times on", f"prefill {IDS}", "threads 4", "decode 3")
    assert threads == {"threads": 4}
    assert len(answer["times"][0]["thread_ns"]) == 5 * 4 * 2


def test_memory_is_that_of_the_process(measure):
    before, _, after = measure(
        "memory", f"prefill {IDS}", "memory", options=("--weights", "mapped")
    )
    assert set(before) == {
        "peak_rss_bytes",
        "anonymous_bytes",
        "peak_anonymous_bytes",
        "mapped_bytes",
    }
    assert after["peak_anonymous_bytes"] >= before["peak_anonymous_bytes"] > 0
    assert after["peak_rss_bytes"] >= after["anonymous_bytes"] + after["mapped_bytes"]


@pytest.mark.parametrize(
    "probe",
    ["read 2 65536", "read_huge 1 5000000", "f32 2", "int8 1", "launch 2", "launch 1"],
)
def test_a_probe_answers_with_its_best_round_and_the_spread(measure, probe):
    (answer,) = measure(f"probe {probe}")
    assert set(answer) == {"value", "spread"}
    assert answer["value"] > 0
    assert answer["spread"] >= 0


def test_more_bytes_are_not_read_faster_than_a_cache(measure):
    near, far = measure("probe read 1 32768", "probe read 1 268435456", threads=1)
    assert near["value"] > far["value"]


def test_the_machine_is_described(measure):
    (answer,) = measure("machine")
    assert {name: type(value) for name, value in answer.items()} == {
        "cpu_model": str,
        "cpu_features": str,
        "cpus": int,
        "governor": str,
        "mhz": float,
        "huge_pages": str,
        "memory_bytes": int,
        "available_bytes": int,
        "load_average": float,
        "kernel": str,
        "ran_s": float,
        "waited_s": float,
    }
    assert answer["ran_s"] > 0
    assert answer["waited_s"] >= 0
    assert 0 < answer["available_bytes"] <= answer["memory_bytes"]
    assert answer["cpus"] > 0
    assert answer["huge_pages"] in ("", "always", "madvise", "never")


def test_a_last_line_without_its_end_is_obeyed(tiny_bundle):
    command = [tiny_bundle / "ossc-run", tiny_bundle, "--measure"]
    finished = subprocess.run(command, input=b"reset", capture_output=True, check=True)
    assert finished.stdout.endswith(b'{"position":0}\n')


def test_answers_come_before_the_next_command(tiny_bundle):
    command = [tiny_bundle / "ossc-run", tiny_bundle, "--measure"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        assert b"protocol" in process.stdout.readline()
        for _ in range(3):
            process.stdin.write(b"reset\n")
            process.stdin.flush()
            assert process.stdout.readline() == b'{"position":0}\n'


def test_a_prompt_is_refused(tiny_bundle):
    command = [tiny_bundle / "ossc-run", tiny_bundle, "--measure", "--token-ids", "1"]
    finished = subprocess.run(command, input=b"", capture_output=True, check=False)
    assert finished.returncode == 2
    assert b"leave out --token-ids" in finished.stderr


def test_the_protocol_s_page_lists_every_command_and_probe():
    page = (Path(__file__).parents[2] / "docs" / "measuring.md").read_text()
    listed = set(re.findall(r"`(\w+)[^`]*`", "\n".join(re.findall(r"^\| (`.*?) \|", page, re.M))))
    sources = C_RUNTIME / "src" / "measure"
    commands = re.findall(r'\{"(\w+)", answer_', (sources / "measure_commands.c").read_text())
    loops = [path.read_text() for path in sources.glob("probe_loops_*.c")]
    probes = set(re.findall(r'^    \{"(\w+)", ', "\n".join(loops), re.M))
    prober = (C_RUNTIME / "src" / "device" / "opencl" / "cl_prober.c").read_text()
    of_devices = set(re.findall(r'^    \{"(\w+)", PROBE_', prober, re.M))
    assert len(commands) == 11
    assert len(probes) == 5
    assert of_devices == {"read", "f32", "int32", "launch"}
    assert listed == {*commands, *probes, *of_devices, "read_huge"}
