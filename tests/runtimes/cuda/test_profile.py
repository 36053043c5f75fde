"""``ossc profile`` on a CUDA device, for which there are no probes."""

import json

import pytest
from click.testing import CliRunner

from ossc.compiler.cli import main

SMALL = ["--prompt-tokens", "5", "--new-tokens", "2", "--repeats", "1"]


@pytest.fixture
def profile(program):
    """Runs the command on the driver."""

    def run(*options):
        with program.fake_cuda.driver():
            done = CliRunner().invoke(main, ["profile", str(program.bundle), *SMALL, *options])
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_limits_and_shares_are_left_out_and_the_profile_says_why(profile):
    fields = json.loads(profile("--format", "json"))
    device = fields["device"]
    assert (device["kind"], device["type"], device["note"]) == ("cuda", "gpu", "")
    assert device["driver"].startswith("CUDA ")
    assert fields["roofline"] is fields["predicted"] is None
    assert fields["limits"]["missing"] == "ossc has no probes for cuda devices"
    assert {(row["bound"], row["of_bound"]) for row in fields["kernels"]} == {(None, None)}
    assert all(row["ms"] > 0 for row in fields["kernels"])


def test_table_and_page_say_it_too(profile):
    said = "not measured: ossc has no probes for cuda devices"
    table = profile()
    assert said in table
    assert "of its limits" not in table
    assert said in profile("--format", "html")
