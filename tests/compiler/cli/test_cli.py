"""What all commands share: help, exit status, and how a failure is printed."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ossc.compiler.cli import COMMANDS, main, targets_command
from ossc.runtimes.version import __version__
from ossc.targets.errors import BundleError, NotComparableError, UsageError

LINKS = Path(__file__).parents[3] / ".links"
SHORT = ["--prompt-tokens", "2", "--new-tokens", "2", "--repeats", "1"]
COMPILE_PACKAGES = ("ml_dtypes", "onnx", "onnx_ir", "onnxruntime", "tvm", "tvm_ffi", "ziglang")


def command_of(name):
    return main.get_command(click.Context(main), name)


def test_the_help_lists_every_command_in_the_order_of_use(ossc):
    result = ossc("--help")
    assert (result.exit_code, result.stderr) == (0, "")
    listed = [line.split()[0] for line in result.stdout.split("Commands:\n")[1].splitlines()]
    assert [name for name in listed if name in COMMANDS] == list(COMMANDS)


def test_every_file_of_a_command_is_listed():
    files = Path(sys.modules["ossc.compiler.cli"].__file__).parent.glob("*_command.py")
    assert {file.stem.removesuffix("_command") for file in files} == set(COMMANDS)


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does(ossc, name, flag):
    result = ossc(name, flag)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"Usage: ossc {name} ")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_text(name):
    options = [each for each in command_of(name).params if isinstance(each, click.Option)]
    assert [option.opts for option in options if not option.help] == []
    assert ["--debug"] in [option.opts for option in options]


@pytest.mark.parametrize("arguments", [[], ["compile"]])
def test_help_is_found_by_its_name_too(ossc, arguments):
    asked = ossc("help", *arguments)
    assert (asked.exit_code, asked.stdout) == (0, ossc(*arguments, "--help").stdout)


def test_the_version_is_printed(ossc):
    assert ossc("--version").stdout == f"ossc, version {__version__}\n"


def test_the_folder_of_the_header_is_printed(ossc):
    assert (Path(ossc("--include-dir").stdout.removesuffix("\n")) / "ossc.h").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(
            ["complie"], "There is no command 'complie'; did you mean 'compile'?", id="near"
        ),
        pytest.param(["frobnicate"], "; use one of: compile, evaluate, export,", id="far"),
        pytest.param(["inspect"], "Missing argument 'BUNDLE'.", id="argument"),
        pytest.param(["inspect", "--steps=1", "x"], "does not take a value.", id="value"),
        pytest.param(["verify", "x", "--againts", "y"], "'--againts'. Did you mean", id="option"),
    ],
)
def test_wrong_usage_ends_with_2(ossc, arguments, message):
    result = ossc(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_no_command_at_all_is_answered_with_the_help(ossc):
    result = ossc()
    assert result.exit_code == 2
    assert "Commands:" in result.output


@pytest.mark.parametrize(
    ("error", "exit_code", "sentence"),
    [
        pytest.param(BundleError("It is damaged."), 1, "It is damaged.", id="expected"),
        pytest.param(UsageError("It is wrong."), 2, "It is wrong.", id="usage"),
        pytest.param(NotComparableError("It is another."), 3, "It is another.", id="no-verdict"),
        pytest.param(
            ModuleNotFoundError("No module named 'tvm'", name="tvm"),
            1,
            'This needs the Python package tvm, which is not installed; run pip install "ossc[com',
            id="package",
        ),
        pytest.param(
            OSError(28, "No space left on device", "/full"),
            1,
            "/full cannot be used (No space left on device); make sure that",
            id="system",
        ),
        pytest.param(
            ModuleNotFoundError("No module named 'ossc.x'", name="ossc.x"),
            1,
            "ossc failed with ModuleNotFoundError: No module named 'ossc.x'; this is a fault of",
            id="our-module",
        ),
        pytest.param(
            KeyError("x"), 1, "ossc failed with KeyError: 'x'; this is a fault of ossc", id="fault"
        ),
    ],
)
def test_a_failure_is_one_sentence_and_debug_shows_the_traceback(
    ossc, refusal, monkeypatch, error, exit_code, sentence
):
    def fail():
        raise error

    monkeypatch.setattr(targets_command, "all_targets", fail)
    assert refusal("targets", exit_code=exit_code).startswith(sentence)
    shown = ossc("targets", "--debug")
    assert shown.exit_code == exit_code
    assert "Traceback (most recent call last)" in shown.stderr
    assert shown.stderr.splitlines()[-1].startswith(f"Error: {sentence}")


def test_an_interruption_ends_with_1_and_no_traceback(ossc, monkeypatch):
    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr(targets_command, "all_targets", interrupt)
    result = ossc("targets")
    assert (result.exit_code, result.stderr.strip()) == (1, "Aborted!")


def run_without_compile_packages(*arguments):
    """Run ossc in a process of its own that has only the base dependencies."""
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({COMPILE_PACKAGES}))\n"
        "from ossc.compiler.cli import main\n"
        "main(prog_name='ossc')"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=dict(os.environ) | {"PYTHONPATH": str(LINKS)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["run", "BUNDLE", "--token-ids", "1 2", "-n", "2"], id="run"),
        pytest.param(["inspect", "BUNDLE"], id="inspect"),
        pytest.param(["verify", "BUNDLE"], id="verify"),
        pytest.param(["profile", "BUNDLE", *SHORT], id="profile"),
        pytest.param(["targets"], id="targets"),
        pytest.param(["schemes"], id="schemes"),
        pytest.param(["schemes", "int8-g32", "--format", "json"], id="scheme"),
        pytest.param(["--include-dir"], id="include-dir"),
        *(pytest.param([name, "--help"], id=f"{name}-help") for name in COMMANDS),
    ],
)
def test_what_compiles_nothing_works_without_the_compile_packages(tiny_bundle, arguments):
    words = [tiny_bundle if word == "BUNDLE" else word for word in arguments]
    done = run_without_compile_packages(*words)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["compile", "MODEL"], id="compile"),
        pytest.param(["compile", "MODEL", "--dry-run"], id="dry-run"),
        pytest.param(["export", "MODEL"], id="export"),
        pytest.param(["verify", "BUNDLE", "--against", "MODEL"], id="verify"),
    ],
)
def test_what_compiles_says_what_to_install(tiny_bundle, tmp_path, arguments):
    places = {"BUNDLE": tiny_bundle, "MODEL": tmp_path}
    done = run_without_compile_packages(*(places.get(word, word) for word in arguments))
    assert done.returncode == 1
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("Error: This needs the Python package ")
    assert sentence.endswith('which is not installed; run pip install "ossc[compile]".')
    assert "Traceback" not in done.stderr
