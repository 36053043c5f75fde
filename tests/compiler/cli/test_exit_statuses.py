"""The same arguments end ``ossc run`` and ``ossc-run`` with the same status."""

import shutil
import subprocess

import pytest

from synthetic.tiny_bundle import write_bundle
from synthetic.tiny_plan import CONTEXT

IDS = ("--token-ids", "5 1 30")


@pytest.fixture
def statuses(ossc, tiny_bundle, tmp_path):
    """``statuses(*arguments)`` gives the status of both, after checking how they failed."""
    program = shutil.copy(tiny_bundle / "ossc-run", tmp_path / "ossc-run")

    def run(*arguments, stdin=""):
        words = [str(argument) for argument in arguments]
        python = ossc("run", *words, stdin=stdin)
        device = subprocess.run(
            [program, *words], input=stdin, capture_output=True, text=True, check=False
        )
        for status, output, message in (
            (python.exit_code, python.stdout, python.stderr),
            (device.returncode, device.stdout, device.stderr),
        ):
            assert (output == "") == (status != 0), message
            assert "fault of ossc" not in message
        return python.exit_code, device.returncode

    return run


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        pytest.param((*IDS, "-n", "2"), 0, id="ids"),
        pytest.param(("--token-ids", " 5,1,\t30\n"), 0, id="separators"),
        pytest.param(("--token-ids", "0005"), 0, id="leading-zeros"),
        pytest.param(("--token-ids=5", "--temp=1.5"), 0, id="joined"),
        pytest.param((*IDS, "-n2"), 0, id="joined-n"),
        pytest.param((*IDS, "-nx"), 2, id="joined-n-x"),
        pytest.param((*IDS, "-n=2"), 2, id="joined-n-="),
        pytest.param((*IDS, "--temp=warm"), 2, id="joined-temp"),
        pytest.param((*IDS, "--format="), 2, id="joined-nothing"),
        pytest.param((*IDS, "--temp", ".5", "--top-p", "1e-1"), 0, id="reals"),
        pytest.param((*IDS, "--top-p", "1.00000001"), 0, id="rounds-to-1"),
        pytest.param((*IDS, "--temp", "1e-60"), 0, id="rounds-to-0"),
        pytest.param((*IDS, "--seed", str(2**64 - 1)), 0, id="largest-seed"),
        pytest.param((*IDS, "-n", "9" * 9), 0, id="more-than-the-context"),
        pytest.param(("--token-ids", "1 " * CONTEXT), 0, id="full-context"),
        pytest.param((), 2, id="no-prompt"),
        pytest.param(("--token-ids", ""), 2, id="empty"),
        pytest.param(("--token-ids", " , "), 2, id="only-separators"),
        pytest.param(("--token-ids",), 2, id="no-value"),
        pytest.param(("--token-ids", "1 " * (CONTEXT + 1)), 1, id="too-long"),
        pytest.param(("--token-ids", "40"), 2, id="not-in-the-vocabulary"),
        *(
            pytest.param(("--token-ids", word), 2, id=f"ids-{word}")
            for word in ("1_0", "+1", "-1", "\uff11", "0x1", "1.0", "1;2", "1\x0b2", "\xa01", "one")
        ),
        pytest.param(("--token-ids", "9" * 25), 2, id="huge"),
        pytest.param(("--token-ids", str(2**32 + 5)), 2, id="wraps"),
        *(
            pytest.param((*IDS, "-n", value), 2, id=f"n-{value}")
            for value in ("0", "-1", "1.5", "1_0", "+1", " 1", "1 ", "\uff11", "", "9" * 10, "x")
        ),
        *(
            pytest.param((*IDS, "--seed", value), 2, id=f"seed-{value}")
            for value in ("-1", "1_0", str(2**64), str(2**64 + 1), "")
        ),
        *(
            pytest.param((*IDS, "--threads", value), 2, id=f"threads-{value}")
            for value in ("0", "-1", "1025", str(2**32 + 1), "two")
        ),
        *(
            pytest.param((*IDS, "--temp", value), 2, id=f"temp-{value}")
            for value in ("-1", "nan", "inf", "1e39", "1_0", "0x1", "warm", "", "1e", "+1", " 1")
        ),
        *(
            pytest.param((*IDS, "--top-p", value), 2, id=f"top-p-{value}")
            for value in ("0", "-0.5", "1.1", "nan", "1e-60")
        ),
        pytest.param((*IDS, "--temp", "2", "--top-k", "3", "--min-p", "0.1"), 0, id="sampling"),
        pytest.param((*IDS, "--repeat-penalty", "1.5", "--top-k", "0"), 0, id="penalty"),
        *(
            pytest.param((*IDS, "--top-k", value), 2, id=f"top-k-{value}")
            for value in ("-1", "1.5", str(2**31), "")
        ),
        *(
            pytest.param((*IDS, "--min-p", value), 2, id=f"min-p-{value}")
            for value in ("-0.1", "1.1", "nan")
        ),
        *(
            pytest.param((*IDS, "--repeat-penalty", value), 2, id=f"penalty-{value}")
            for value in ("0", "-1", "inf", "1e-60")
        ),
        pytest.param((*IDS, "--weights", "paged"), 2, id="weights"),
        pytest.param((*IDS, "--kv", "f8"), 2, id="kv"),
        pytest.param((*IDS, "--kv", "int8"), 1, id="kv-that-the-bundle-lacks"),
        pytest.param((*IDS, "--format", "xml"), 2, id="format"),
        pytest.param((*IDS, "--speed", "1"), 2, id="unknown-option"),
        pytest.param((*IDS, "second"), 2, id="second-bundle"),
    ],
)
def test_equal_arguments_end_with_equal_statuses(statuses, tiny_bundle, arguments, status):
    assert statuses(tiny_bundle, *arguments) == (status, status)


def test_a_bundle_called_like_stdin_is_not_there(statuses):
    assert statuses("-", *IDS) == (1, 1)


def test_options_without_a_bundle_are_wrong_usage(statuses):
    assert statuses(*IDS) == (2, 2)


@pytest.mark.parametrize(
    ("text", "status"), [("5 1", 0), ("", 2), ("5 x", 2), ("5 1\x00", 2), ("1 " * 25, 1)]
)
def test_a_prompt_from_stdin_ends_alike(statuses, tiny_bundle, text, status):
    assert statuses(tiny_bundle, "--token-ids", "-", stdin=text) == (status, status)


def test_wrong_usage_is_found_before_a_missing_bundle(statuses, tmp_path):
    assert statuses(tmp_path / "nowhere", *IDS) == (1, 1)
    assert statuses(tmp_path / "nowhere", "--token-ids", "x") == (2, 2)
    assert statuses(tmp_path / "nowhere", *IDS, "--temp", "-1") == (2, 2)


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sha256", "plan.bin", "weights.bin"])
@pytest.mark.parametrize("fault", ["missing", "cut", "folder"])
def test_a_damaged_bundle_ends_alike(statuses, tiny_bundle, name, fault):
    path = tiny_bundle / name
    data = path.read_bytes()
    path.unlink()
    if fault == "cut":
        path.write_bytes(data[:-1])
    elif fault == "folder":
        path.mkdir()
    assert statuses(tiny_bundle, *IDS) == (1, 1)


def test_a_file_for_a_folder_ends_alike(statuses, tiny_bundle):
    assert statuses(tiny_bundle / "plan.bin", *IDS) == (1, 1)


def test_a_bundle_for_a_cpu_that_is_not_here_ends_alike(statuses, tiny_bundle):
    from platform import machine

    from ossc.runtimes.manifest import HostEntry, TargetEntry

    features = ("avx512_fp16",) if machine() == "x86_64" else ("sme2",)
    target = TargetEntry(
        name="cpu:test", host=HostEntry(arch=machine(), cpu_features=(*features, "warp-drive"))
    )
    assert statuses(write_bundle(tiny_bundle, target=target), *IDS) == (1, 1)
