"""``ossc profile``."""

import json

import pytest

from ossc.runtimes.profile.device.answers import Probe
from ossc.runtimes.profile.device.runner import Runner
from ossc.runtimes.profile.profile_json import read_profile
from synthetic.tiny_plan import CONTEXT

SMALL = ["--prompt-tokens", 6, "--new-tokens", 4, "--repeats", 2]
THREE = ["--prompt-tokens", 6, "--new-tokens", 4, "--repeats", 3]
"""As few repeats as a comparison of profiles takes."""

PROBES: dict[tuple[object, ...], Probe] = {}
"""What was measured, by what was asked for."""


@pytest.fixture(autouse=True)
def every_repeat_counts(monkeypatch):
    """Other tests run beside these; which repeats count is tested elsewhere."""
    for limit in ("MAX_WAITED", "MAX_DRIFT"):
        monkeypatch.setattr(f"ossc.runtimes.profile.repeats.{limit}", 1000.0)


@pytest.fixture(autouse=True)
def each_probe_runs_once(monkeypatch):
    """What the machine can do is the same in all tests, and takes seconds to measure."""
    measure = Runner.probe

    def probe(self, *arguments):
        if arguments not in PROBES:
            PROBES[arguments] = measure(self, *arguments)
        return PROBES[arguments]

    monkeypatch.setattr(Runner, "probe", probe)


@pytest.fixture
def profile_json(ossc, tiny_bundle, tmp_path):
    """A profile of the tiny bundle, as a file."""
    path = tmp_path / "profile.json"
    result = ossc("profile", tiny_bundle, *THREE, "--format", "json", "--out", path)
    assert (result.exit_code, result.stdout) == (0, "")
    return path


def test_the_table_has_kernels_and_times(ossc, tiny_bundle):
    result = ossc("profile", tiny_bundle, *SMALL)
    assert result.exit_code == 0, result.output
    for text in ("prefill of 6", "decode at 6", "test_head", "GB/s", "limits", "timestamps"):
        assert text in result.stdout
    assert "decode at 6 tokens …" in result.stderr


def test_json_is_a_profile_of_what_was_asked_for(profile_json, tiny_bundle):
    profile = read_profile(profile_json)
    assert profile.bundle.path == str(tiny_bundle)
    assert (profile.place.name, profile.place.emulated) == ("local", False)
    assert profile.workload.prompt_tokens == profile.workload.depths == (6,)
    latencies = [row.latency for row in profile.decode if row.threads == profile.workload.threads]
    assert [len(latency.samples_ms) for latency in latencies] == [3 * 4]
    assert {row.phase for row in profile.kernels} == {"prefill", "decode"}
    assert profile.roofline is not None
    assert profile.machine.waited is None or 0 <= profile.machine.waited < 1
    assert profile.predicted is None  # the speed of kernels made by hand is not known


def test_the_timeline_is_that_of_one_token(profile_json):
    profile = read_profile(profile_json)
    spans = profile.timeline
    assert [span.kernel for span in spans][-1] == "test_head"
    assert len(spans) == 5
    ends = [span.begin_us + span.us for span in spans[:-1]]
    assert [span.begin_us for span in spans[1:]] == pytest.approx(ends)
    assert 0 < profile.instrumentation.coverage <= 1


def test_lengths_and_depths_can_be_given_more_than_once(ossc, tiny_bundle):
    result = ossc(
        "profile",
        tiny_bundle,
        *["--prompt-tokens", 3, "--prompt-tokens", 9, "--depth", 2, "--depth", 20],
        *["--new-tokens", 4, "--repeats", 1, "--threads", 1, "--format", "json"],
    )
    profile = json.loads(result.stdout)
    assert [row["tokens"] for row in profile["prefill"]] == [3, 9]
    assert [row["depth"] for row in profile["decode"]] == [2, 20]
    assert profile["workload"]["threads"] == 1


def test_several_bundles_give_several_profiles(ossc, tiny_bundle):
    result = ossc("profile", tiny_bundle, tiny_bundle, *SMALL, "--format", "json")
    assert [each["bundle"]["path"] for each in json.loads(result.stdout)] == [str(tiny_bundle)] * 2


def test_bundles_are_printed_side_by_side(ossc, tiny_bundle):
    result = ossc("profile", tiny_bundle, tiny_bundle, *SMALL, "--compare")
    assert result.exit_code == 0, result.output
    (line,) = (line for line in result.stdout.splitlines() if line.startswith("target"))
    assert line.split() == ["target", "cpu:test", "cpu:test"]


def test_html_and_trace_are_written(ossc, tiny_bundle, tmp_path):
    page, trace = tmp_path / "page.html", tmp_path / "trace.json"
    options = ["--format", "html", "--out", page, "--trace", trace]
    result = ossc("profile", tiny_bundle, *SMALL, *options)
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    assert "test_head" in page.read_text()
    assert "traceEvents" in json.loads(trace.read_text())


def test_the_same_bundle_is_no_regression(ossc, tiny_bundle):
    result = ossc("profile", tiny_bundle, *SMALL, "--baseline", tiny_bundle, "--threshold", 9)
    assert result.exit_code == 0, result.output
    assert "decode at 6" in result.stdout


def test_a_slower_bundle_ends_with_1(ossc, tiny_bundle, profile_json, monkeypatch):
    """The baseline says that everything once took a thousandth of the time."""
    for limit in ("conditions.MAX_GAIN_FACTOR", "scaling.MAX_FACTOR"):
        monkeypatch.setattr(f"ossc.runtimes.profile.gate.{limit}", 100.0)
    fields = json.loads(profile_json.read_text())
    for row in (*fields["kernels"], *fields["decode"], *fields["prefill"]):
        times = row.get("latency", row)
        times["samples_ms"] = [ms / 1000 for ms in times["samples_ms"]]
        for name in ("ms", "mean_ms", "p50_ms", "p90_ms", "p99_ms"):
            if name in times:
                times[name] /= 1000
    profile_json.write_text(json.dumps(fields))
    result = ossc("profile", tiny_bundle, *THREE, "--baseline", profile_json)
    assert result.exit_code == 1, result.output
    assert "regression" in result.stdout, result.output


def test_a_profile_made_beside_other_work_is_not_comparable(ossc, tiny_bundle, profile_json):
    fields = json.loads(profile_json.read_text())
    fields["decode"][0]["conditions"] |= {"steady": False, "most_waited": 0.5}
    profile_json.write_text(json.dumps(fields))
    result = ossc("profile", tiny_bundle, *THREE, "--baseline", profile_json)
    assert result.exit_code == 3
    assert "can be trusted" in result.stderr


def test_two_repeats_are_not_comparable(ossc, tiny_bundle, profile_json):
    result = ossc("profile", tiny_bundle, *SMALL, "--baseline", profile_json)
    assert result.exit_code == 3
    assert "--repeats 3" in result.stderr


def test_limits_that_were_measured_serve_a_prediction(refusal, tiny_bundle, profile_json):
    """A machine's limits can be read; what kernels made by hand reach of them is not known."""
    options = ["--predict", "--roofline", profile_json]
    sentence = refusal("profile", tiny_bundle, *SMALL, *options, exit_code=2)
    assert "cpu:test" in sentence


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(["--compare"], "more than one", id="compare-one"),
        pytest.param(["--threshold", 0.1], "--baseline", id="threshold-alone"),
        pytest.param(["--target", "cpu:aarch64"], "--predict", id="target-alone"),
        pytest.param(["--format", "html", "--predict"], "html", id="html-of-a-prediction"),
        pytest.param(["--predict", "--baseline", "x"], "leave one out", id="predict-and-compare"),
        pytest.param(["--depth", CONTEXT], f"context of {CONTEXT}", id="depth-beyond-context"),
        pytest.param(["--on", "moon"], "moon", id="unknown-place"),
        pytest.param(["--baseline", "nothing.json"], "nothing.json", id="no-baseline"),
    ],
)
def test_what_contradicts_itself_is_refused(refusal, tiny_bundle, options, words):
    sentence = refusal("profile", tiny_bundle, *SMALL, *options, exit_code=2)
    assert words in sentence


def test_two_bundles_have_no_baseline(refusal, tiny_bundle):
    sentence = refusal("profile", tiny_bundle, tiny_bundle, "--baseline", tiny_bundle, exit_code=2)
    assert "one bundle" in sentence


@pytest.mark.parametrize("options", [(), ("--predict",), ("--baseline", "bundle")])
def test_a_type_of_kv_caches_that_the_bundle_lacks_is_refused(refusal, tiny_bundle, options):
    options = [tiny_bundle if word == "bundle" else word for word in options]
    sentence = refusal("profile", tiny_bundle, *SMALL, "--kv", "int8", *options)
    assert "no plan for KV caches of type int8" in sentence


def test_a_text_needs_a_tokenizer(refusal, tiny_bundle, tmp_path):
    (tmp_path / "text").write_text("w1 w2")
    assert "tokenizer" in refusal("profile", tiny_bundle, "--text", tmp_path / "text")


@pytest.mark.parametrize("option", ["--out", "--trace"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(
    refusal, tiny_bundle, tmp_path, option
):
    for place in (tmp_path / "none" / "file", tmp_path):
        sentence = refusal("profile", tiny_bundle, option, place, exit_code=2)
        assert sentence == f"{place} cannot be a file; give a file in a folder that exists."


def test_a_full_disk_is_said_with_the_file_that_is_on_it(ossc, tiny_bundle):
    done = ossc("profile", tiny_bundle, *SMALL, "--out", "/dev/full")
    assert done.exit_code == 1
    sentence = "/dev/full cannot be written (No space left on device); choose another place"
    assert sentence in done.stderr
