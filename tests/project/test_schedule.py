"""The quick tests are those that are not slow, and what belongs together is done by one worker."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import schedule

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
SCRIPT = ROOT / "scripts" / "test"

CONFTEST = "from conftest_of_ossc import pytest_collection_modifyitems, pytest_xdist_make_scheduler"
FILE = """
import os
import pytest

@pytest.mark.parametrize("number", range(8))
def test_it(number):
    with open({log!r}, "a") as log:
        print({name!r}, os.environ.get("PYTEST_XDIST_WORKER"), file=log)
"""
SLOW_FILE, GROUPED_FILE = "compiler/end_to_end/test_x.py", "runtimes/test_c_programs.py"


@pytest.fixture
def ran(tmp_path):
    """``ran(*options)``: which files' tests ran in which worker, of two files of eight tests."""
    (tmp_path / "conftest_of_ossc.py").write_text((TESTS / "conftest.py").read_text())
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").write_text(CONFTEST)
    for name in (SLOW_FILE, GROUPED_FILE):
        path = tmp_path / "tests" / name
        path.parent.mkdir(parents=True)
        path.write_text(FILE.format(log=str(tmp_path / "log"), name=name))

    def run(*options):
        settings = ["-c", ROOT / "pyproject.toml", "--rootdir", tmp_path, "-p", "no:cacheprovider"]
        path = os.pathsep.join(map(str, (tmp_path, TESTS, ROOT / ".links")))
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *settings, *options, tmp_path / "tests"],
            env={name: x for name, x in os.environ.items() if not name.startswith("PYTEST_")}
            | {"PYTHONPATH": path},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return [tuple(line.split()) for line in (tmp_path / "log").read_text().splitlines()]

    return run


def test_quick_tests_are_those_that_are_not_slow(ran):
    (selection,) = re.findall(r'--quick \].* set -- -m "(.*)" ', SCRIPT.read_text())
    assert selection == "not slow"
    assert ran("-m", selection) == [(GROUPED_FILE, "None")] * 8


def test_slow_tests_begin_and_a_group_is_done_by_one_worker(ran):
    lines = ran("-n", "2")
    workers = {name: {worker for n, worker in lines if n == name} for name, _ in lines}
    assert len(lines) == 16
    assert workers[SLOW_FILE] == {"gw0", "gw1"}
    assert len(workers[GROUPED_FILE]) == 1
    assert [name for name, _ in lines][:4] == [SLOW_FILE] * 4


@pytest.mark.parametrize("path", [*schedule.ONE_WORKER, *schedule.SLOW, schedule.KERNELS])
def test_what_is_named_is_there(path):
    assert (TESTS / path).exists()


def test_markers_are_declared(pytestconfig):
    declared = {line.partition(":")[0] for line in pytestconfig.getini("markers")}
    assert {"slow", "emulated", "device"} <= declared
    used = {
        name
        for path in TESTS.rglob("*.py")
        for name in re.findall(r"pytest\.mark\.(\w+)", path.read_text())
    }
    own = used - {"parametrize", "skipif", "xfail", "skip", "filterwarnings", "usefixtures"}
    assert own <= declared


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (
            "kernels/test_x.py::test_a[3-avx2-int4-g32]",
            "kernels/test_x.py::test_a[13-avx2-int4-g32]",
            1,
        ),
        (
            "kernels/test_x.py::test_a[3-avx2-int4-g32]",
            "kernels/test_x.py::test_a[3-avx2-int8-g32]",
            0,
        ),
        ("kernels/test_x.py::test_a[3]", "kernels/test_x.py::test_b[3]", 0),
    ],
)
def test_one_kernel_is_compiled_by_one_worker(one, other, same):
    folder = "tests/compiler/backends/cpu/"
    assert (schedule.scope(folder + one) == schedule.scope(folder + other)) == bool(same)
