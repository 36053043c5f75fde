"""Headless Chromium, driven through the pipe of its DevTools protocol.

Protocol: https://chromedevtools.github.io/devtools-protocol/. Messages are JSON and end with a zero
byte; the browser reads descriptor 3 and writes descriptor 4.
"""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EXECUTABLE = shutil.which("chromium") or shutil.which("chromium-browser")
"""None where it is not installed; scripts/install-packages gets it."""

OPTIONS = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",  # as root, in containers; it opens our own pages only
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--hide-scrollbars",
]

WEBGPU_OPTIONS = [
    *(option for option in OPTIONS if option != "--disable-gpu"),
    "--enable-unsafe-webgpu",  # which allows WebGPU without a graphics card
    "--use-webgpu-adapter=swiftshader",  # on the CPU
]
"""For pages that compute with WebGPU."""

TIMEOUT_S = 120

COMPLAINTS = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded"}
"""Events by which a page says that something is wrong; ours is to send none of them."""


class Browser:
    """A running browser; see `browser`."""

    def __init__(self, to_browser: int, from_browser: int) -> None:
        self._to, self._from = to_browser, from_browser
        self._unread = b""
        self._next_id = 0
        self._target: str | None = None
        self.events: list[dict[str, Any]] = []
        """Everything that was reported since the last page was opened."""

    def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        """Call a method and wait for its answer; raises RuntimeError when the browser refuses."""
        self._next_id += 1
        message = {"id": self._next_id, "method": method, "params": params}
        os.write(self._to, json.dumps(message | _session(session)).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") != self._next_id:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']['message']}")
            else:
                return answer["result"]

    def wait_for(self, event: str) -> None:
        """Wait until an event has been reported since the last page was opened."""
        while not any(seen["method"] == event for seen in self.events):
            self.events.append(self._read())

    def _read(self) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while b"\0" not in self._unread:
            if not select.select([self._from], [], [], max(0, deadline - time.monotonic()))[0]:
                raise TimeoutError("The browser does not answer.")
            part = os.read(self._from, 1 << 20)
            if not part:
                raise RuntimeError("The browser has ended.")
            self._unread += part
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)

    def open(self, page: Path | str, *, width: int = 1200, dark: bool = False) -> "Page":
        """Open a file or an address in a window of a width, with light or dark colours.

        The page that was open before is closed.
        """
        if self._target is not None:
            self.call("Target.closeTarget", targetId=self._target)
        self._target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=self._target, flatten=True)
        opened = Page(self, attached["sessionId"])
        self.events = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            opened.call(f"{domain}.enable")
        opened.resize(width)
        opened.prefer(dark=dark)
        url = page.as_uri() if isinstance(page, Path) else page
        opened.call("Page.navigate", url=url)
        self.wait_for("Page.loadEventFired")
        return opened


class Page:
    """A page in the browser."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser, self._session = browser, session

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of this page."""
        return self._browser.call(method, self._session, **params)

    def evaluate(self, expression: str) -> Any:
        """Return the JSON value of an expression, or of what it promises.

        Raises:
            RuntimeError: It throws.
        """
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def resize(self, width: int, height: int = 900) -> None:
        """Make the window so many CSS pixels wide; narrow ones are phones."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )

    def prefer(self, *, dark: bool) -> None:
        """Set the colours that the system asks for."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Do something with the mouse: ``mouseMoved``, ``mousePressed``, ``mouseReleased``."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def press(self, key: str) -> None:
        """Press and release a key on the focused element."""
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def screenshot(self, path: Path) -> None:
        """Write the whole page as a PNG."""
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture["data"]))

    @property
    def complaints(self) -> list[dict[str, Any]]:
        """Script errors, refused loads and lines of the console so far."""
        self.evaluate("0")  # what was sent before its answer has been read
        return [event for event in self._browser.events if event["method"] in COMPLAINTS]

    @property
    def requests(self) -> list[str]:
        """Addresses that the page asked for."""
        return [
            event["params"]["request"]["url"]
            for event in self._browser.events
            if event["method"] == "Network.requestWillBeSent"
        ]


def _session(session: str | None) -> dict[str, str]:
    return {} if session is None else {"sessionId": session}


@contextmanager
def browser(profile: Path, options: Sequence[str] = OPTIONS) -> Iterator[Browser]:
    """Run a browser that keeps its files in a folder."""
    assert EXECUTABLE is not None
    read_end, to_browser = os.pipe()
    from_browser, write_end = os.pipe()
    ends = [_above_4(read_end), _above_4(write_end)]

    def take_ends() -> None:
        os.dup2(ends[0], 3)
        os.dup2(ends[1], 4)

    command = [EXECUTABLE, *options, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(
        command, preexec_fn=take_ends, close_fds=False, stderr=subprocess.DEVNULL
    )
    for end in ends:
        os.close(end)
    try:
        yield Browser(to_browser, from_browser)
    finally:
        for end in (to_browser, from_browser):  # a browser without its pipe ends by itself
            os.close(end)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _above_4(descriptor: int) -> int:
    """Move a descriptor out of the way of 3 and 4."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved
