"""Pages that a browser opens from this machine: a static server, and a browser with WebGPU."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import chromium
import ossc.runtimes

WEB_RUNTIME = Path(ossc.runtimes.__file__).parent / "web"
"""The page and its modules."""

OPEN = "open-"
"""Begins the names of folders that pages of other servers may read."""


class Handler(SimpleHTTPRequestHandler):
    """Serves the files of several folders, and says nothing."""

    def __init__(self, *arguments: Any, folders: dict[str, Path]) -> None:
        self._folders = folders
        super().__init__(*arguments)

    def translate_path(self, path: str) -> str:
        """The file of ``/folder/name``."""
        folder, _, name = path.partition("?")[0].lstrip("/").partition("/")
        return str(self._folders.get(folder, Path("nowhere")) / (name or "index.html"))

    def end_headers(self) -> None:
        """Say who may read it."""
        if self.path.startswith(f"/{OPEN}"):
            self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


class Site:
    """A server with the page of the web runtime, and a browser that opens it."""

    def __init__(self, port: int, folders: dict[str, Path], browser: chromium.Browser) -> None:
        self.port = port
        self.folders = folders
        """By the first part of the path; more may be added."""
        self._browser = browser

    def open(self, path: str = "web/index.html", **options: Any) -> chromium.Page:
        """Open a page."""
        return self._browser.open(f"http://127.0.0.1:{self.port}/{path}", **options)


@contextmanager
def web_site(profile: Path) -> Iterator[Site]:
    """Run both; the browser keeps its files in a folder."""
    folders = {"web": WEB_RUNTIME}
    handler = partial(Handler, folders=folders)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        with chromium.browser(profile, chromium.WEBGPU_OPTIONS) as browser:
            yield Site(server.server_port, folders, browser)
        server.shutdown()
        thread.join()


def call(
    page: chromium.Page, body: str, modules: str = "model", folder: str = "web", **values: Any
) -> Any:
    """Run statements in a page and return what they return; what they throw is its message.

    Args:
        page: Of the web runtime.
        body: Statements of an async function.
        modules: Names of modules whose exports the statements use.
        folder: Where the modules are.
        values: JSON values that the statements use by name.
    """
    imports = "".join(
        f"const {{ {EXPORTS[name]} }} = await import('/{folder}/{name}.js');"
        for name in modules.split()
    )
    constants = "".join(f"const {name} = {json.dumps(value)};" for name, value in values.items())
    return page.evaluate(
        f"(async () => {{ try {{ {imports}{constants}{body} }} "
        "catch (error) { return String(error); } })()"
    )


EXPORTS = {
    "model": "openModel, generate, Sampler",
    "plan": "readPlan",
    "manifest": "readManifest",
    "gpu": "Gpu, requestAdapter",
    "gpu_needs": "checkForWebGpu, checkLimits, needsOf",
}
"""What modules export, as far as tests use it."""
