"""Loading a bundle's library."""

import shutil

from ossc.runtimes.library import loader_path
from ossc.runtimes.session import Session


def test_a_replaced_bundle_is_loaded_anew(tiny_bundle, tmp_path):
    """The loader goes by the path, and knows one from before."""
    with Session(tiny_bundle) as session:
        before = session._library._library._handle
    aside = shutil.copytree(tiny_bundle, tmp_path / "aside")
    shutil.rmtree(tiny_bundle)
    aside.rename(tiny_bundle)
    with Session(tiny_bundle) as session:
        after = session._library._library._handle
    assert after != before


def test_the_same_file_is_loaded_once(tiny_bundle):
    with Session(tiny_bundle) as first, Session(tiny_bundle) as second:
        assert first._library._library._handle == second._library._library._handle


def test_a_path_is_spelled_as_it_is_at_first(tmp_path):
    file = tmp_path / "library.so"
    file.touch()
    assert loader_path(file) == str(file)
    assert loader_path(file) == str(file)
