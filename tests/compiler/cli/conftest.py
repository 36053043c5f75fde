"""The command line, called in this process."""

import pytest
from click.testing import CliRunner

from ossc.compiler.cli import main


@pytest.fixture
def ossc():
    """``ossc(*arguments)`` runs a command; the result has exit_code, stdout and stderr."""

    def run(*arguments, stdin=None):
        return CliRunner().invoke(main, [*map(str, arguments)], prog_name="ossc", input=stdin)

    return run


@pytest.fixture
def refusal(ossc):
    """``refusal(*arguments)`` runs a command that fails as it should, and returns its sentence."""

    def run(*arguments, exit_code=1):
        result = ossc(*arguments)
        assert result.exit_code == exit_code, result.output
        assert result.stdout == ""
        *before, sentence = result.stderr.splitlines()
        assert not any("Traceback" in line or "Error" in line for line in before)
        assert sentence.startswith("Error: ")
        assert sentence.endswith((".", "?"))
        return sentence.removeprefix("Error: ")

    return run
