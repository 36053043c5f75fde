"""A browser with WebGPU for the tests of a file."""

import pytest

from web_server import web_site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A server and a browser; each test opens a page of its own."""
    with web_site(tmp_path_factory.mktemp("chromium")) as running:
        yield running
