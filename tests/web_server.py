"""A static server on this machine for pages that a browser opens."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any


class Handler(SimpleHTTPRequestHandler):
    """Serves the files of several folders, and says nothing."""

    def __init__(self, *arguments: Any, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        super().__init__(*arguments)

    def translate_path(self, path: str) -> str:
        """The file of ``/folder/name``."""
        folder, _, name = path.partition("?")[0].lstrip("/").partition("/")
        return str(self._folders.get(folder, Path("nowhere")) / (name or "index.html"))

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def web_server(folders: Mapping[str, Path]) -> Iterator[str]:
    """Serve folders by name; gives the address, which further folders may be added behind."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, folders=folders)) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
