"""The error tree."""

import pytest

from ossc.targets import errors
from ossc.targets.errors import NotComparableError, OsscError, UnknownNameError, UsageError


def subclasses_of(error: type[OsscError]) -> list[type[OsscError]]:
    return [error] + [leaf for child in error.__subclasses__() for leaf in subclasses_of(child)]


def test_the_docstring_shows_every_error_with_its_exit_code():
    for error in subclasses_of(OsscError):
        line = next(line for line in errors.__doc__.splitlines() if error.__name__ in line.split())
        assert line.split(error.__name__)[1].split()[0] == str(error.exit_code)


@pytest.mark.parametrize(
    ("error", "exit_code"), [(OsscError, 1), (UsageError, 2), (NotComparableError, 3)]
)
def test_the_exit_codes_are_those_of_the_command_line(error, exit_code):
    assert error.exit_code == exit_code


def test_a_near_miss_is_suggested():
    error = UnknownNameError("scheme", "int8-g23", ["bf16", "int8-g32", "mxfp4"])
    assert str(error) == "There is no scheme 'int8-g23'; did you mean 'int8-g32'?"


def test_a_far_miss_lists_what_there_is():
    error = UnknownNameError("scheme", "?", ["mxfp4", "bf16"])
    assert str(error) == "There is no scheme '?'; use one of: bf16, mxfp4."


def test_an_unknown_name_is_wrong_usage():
    assert UnknownNameError("target", "x", []).exit_code == 2
