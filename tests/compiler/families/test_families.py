"""How families are found."""

import sys
from pathlib import Path

import pytest

from ossc.compiler import families
from ossc.compiler.families import family_names, find_family
from ossc.targets.errors import UnknownNameError


@pytest.fixture(autouse=True)
def _searched_anew():
    """Forget what was found, before a test adds a file and after it."""
    families._families.cache_clear()
    yield
    families._families.cache_clear()


@pytest.mark.parametrize("name", family_names())
def test_a_family_is_found_by_the_name_of_its_file(name):
    assert find_family(name).model_type == name


def test_an_unknown_family_suggests():
    with pytest.raises(UnknownNameError, match="did you mean 'gpt_oss'"):
        find_family("gpt-oss")


def test_a_new_file_is_a_new_family(tmp_path, monkeypatch):
    (tmp_path / "my_model.py").write_text(
        "from dataclasses import replace\n"
        "from ossc.compiler.families.llama import FAMILY as LLAMA\n"
        "FAMILY = replace(LLAMA, model_type='my_model', aliases=('mine',))\n"
    )
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(tmp_path)])
    assert {"my_model", "mine", "llama"} <= set(family_names())
    assert find_family("my_model") is find_family("mine")
    del sys.modules["ossc.compiler.families.my_model"]


def test_a_file_that_cannot_be_imported_is_an_error_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there\n")
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="a_module_that_is_not_there"):
        find_family("broken")


def test_every_other_file_is_listed_as_none():
    files = {path.stem for path in Path(families.__file__).parent.glob("*.py")} - {"__init__"}
    assert files - set(family_names()) == {"family", "model_config", "source_model"}
