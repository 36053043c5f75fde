"""The JSON of ``ossc run``."""

import json

import pytest

from ossc.runtimes.run_report import RunReport
from ossc.targets.errors import SessionError

REPORT = RunReport(
    token_ids=(1, 2),
    prefill_tokens=3,
    prefill_tokens_per_s=4.5,
    decode_tokens=1,
    decode_tokens_per_s=6.5,
    load_s=0.5,
    peak_rss_bytes=7,
    peak_anonymous_bytes=8,
)


def test_the_json_has_the_fields_of_the_contract():
    assert json.loads(REPORT.to_json("é")) == {
        "token_ids": [1, 2],
        "text": "é",
        "prefill_tokens": 3,
        "prefill_tokens_per_s": 4.5,
        "decode_tokens": 1,
        "decode_tokens_per_s": 6.5,
        "load_s": 0.5,
        "peak_rss_bytes": 7,
        "peak_anonymous_bytes": 8,
    }


def test_an_emulated_run_says_so():
    emulated = RunReport.from_json(REPORT.to_json(None), "qemu-aarch64")
    assert json.loads(emulated.to_json(None))["emulator"] == "qemu-aarch64"
    assert (emulated.token_ids, emulated.load_s) == (REPORT.token_ids, REPORT.load_s)


@pytest.mark.parametrize("line", ["", "[]", "{}", '{"text": null, "token_ids": [], "x": 1}'])
def test_another_line_is_refused(line):
    with pytest.raises(SessionError, match="not its report"):
        RunReport.from_json(line)
