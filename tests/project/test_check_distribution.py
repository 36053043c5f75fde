"""The check of wheel and sdist finds what it is there to find."""

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts" / "check_distribution.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("check_distribution", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path):
    """A small project with the packaging of the real one."""
    root = tmp_path / "project"
    for folder in ("compiler", "runtimes", "targets", "tests", "docs"):
        (root / folder).mkdir(parents=True)
        (root / folder / "file.py").write_text("")
    (root / "runtimes" / "c").mkdir()
    (root / "runtimes" / "c" / "run.c").write_text("")
    (root / "README.md").write_text("# ossc")
    for file in ("pyproject.toml", "LICENSE", "runtimes/version.py", ".gitignore"):
        shutil.copy(ROOT / file, root / file)
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    return root


def test_the_packaging_keeps_every_file(script, project, tmp_path):
    assert script.check(project, tmp_path / "scratch") == []


def test_a_folder_that_the_sdist_leaves_out_is_found(script, project, tmp_path):
    settings = (project / "pyproject.toml").read_text()
    sdist = settings.index("[tool.hatch.build.targets.sdist]")
    broken = settings[:sdist] + settings[sdist:].replace('"compiler", ', "", 1)
    (project / "pyproject.toml").write_text(broken)
    assert script.check(project, tmp_path / "scratch") == [
        "the wheel made from the sdist lacks compiler/file.py",
        "the sdist lacks compiler/file.py",
    ]


def test_a_file_that_should_not_be_there_is_found(script):
    assert script.differences("the wheel", {"a", "b"}, {"a"}) == ["the wheel should not hold b"]
