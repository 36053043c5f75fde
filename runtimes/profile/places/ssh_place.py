"""A machine that SSH reaches: the bundle is copied there, and its own ``ossc-run`` measures.

What was copied stays, in a folder whose files are named by their hashes, so that the next time only
what changed is copied::

    ~/.cache/ossc/files/<sha256>                       each file once
    ~/.cache/ossc/bundles/<sha256 of manifest>/<name>  hard links to them

The machine needs an SSH server that accepts a key without a password, a shell and ``tar``.
"""

import hashlib
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from ossc.runtimes.bundle import EXECUTABLE_NAME, Bundle
from ossc.runtimes.manifest import DIGEST_NAME, MANIFEST_NAME
from ossc.runtimes.profile.device.runner import Runner
from ossc.runtimes.profile.places.place import check_executable, measure_arguments
from ossc.runtimes.profile.places.ssh_shell import READY, SshShell
from ossc.runtimes.sizes import format_bytes
from ossc.runtimes.weights_mode import WeightsMode
from ossc.targets.errors import SessionError, UsageError

DEFAULT_FOLDER = ".cache/ossc"
"""Where bundles go, from the user's home."""

_URL = re.compile(
    r"ssh://(?:(?P<user>\w[\w.-]*)@)?(?P<host>\w[\w.-]*|\[[\da-fA-F:.]+\])"
    r"(?::(?P<port>\d{1,5}))?(?P<folder>/.*)?",
    re.ASCII,
)
_FREE_KILOBYTES = re.compile(r"\s\d+\s+\d+\s+(\d+)\s+\d+%")
"""In a line of ``df -Pk``: the third of three sizes."""


class _Sent(NamedTuple):
    """A file that the machine must have."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a machine is, and what it has."""

    arch: str
    free_bytes: int
    hashes: frozenset[str]
    """Of the files that are there already."""


@dataclass(frozen=True)
class SshPlace:
    """A machine, and the folder for bundles on it."""

    shell: SshShell
    folder: str = DEFAULT_FOLDER
    """Absolute, or from the user's home."""
    emulated: bool = False

    @property
    def name(self) -> str:
        """As the user gives it, without the folder."""
        return self.shell.name

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read ``ssh://[user@]host[:port][/folder]``; ``/~/`` begins a folder in the home.

        Raises:
            UsageError: It is another one.
        """
        match = _URL.fullmatch(url)
        port = int(match["port"]) if match and match["port"] else None
        if match is None or port == 0 or (port or 0) > 65535 or not url.isprintable():
            raise UsageError(
                f"{url!r} is no machine; give ssh://[user@]host[:port][/folder], with host as in "
                "your ssh configuration."
            )
        shell = SshShell(match["host"], match["user"], port)
        folder = (match["folder"] or "/").rstrip("/")
        home, _, rest = folder.partition("/~/")
        return cls(shell, (rest if rest and not home else folder) or DEFAULT_FOLDER)

    def start(
        self,
        bundle: Bundle,
        threads: int | None = None,
        weights: WeightsMode = "mapped",
        device: str | None = None,
    ) -> Runner:
        """See `Place.start`; first copies what the machine lacks."""
        check_executable(bundle)
        files = _files_of(bundle)
        self._copy(bundle, files)
        directory = f"bundles/{files[MANIFEST_NAME].sha256}"
        links = [
            f"ln -f files/{entry.sha256} {directory}/{shlex.quote(name)}"
            for name, entry in files.items()
        ]
        arguments = measure_arguments(directory, bundle, threads, weights, device)
        script = [
            self._enter(),
            f"mkdir -p {directory}",
            *links,
            f"echo {shlex.quote(READY)}",
            f"exec {directory}/{EXECUTABLE_NAME} {shlex.join(arguments)}",
        ]
        return Runner(self.shell.command(script), bundle.plan, ready_line=READY)

    def _enter(self) -> str:
        folder = shlex.quote(self.folder if self.folder.startswith("/") else f"./{self.folder}")
        return f"mkdir -p {folder}/files\ncd {folder}"

    def _copy(self, bundle: Bundle, files: Mapping[str, _Sent]) -> None:
        survey = self._survey({entry.sha256 for entry in files.values()})
        if survey.arch != bundle.manifest.target.host.arch:
            raise SessionError(
                f"The bundle is for {bundle.manifest.target.host.arch} and {self.name} is "
                f"{survey.arch}; compile the model for it."
            )
        lacking = {e.sha256: name for name, e in files.items() if e.sha256 not in survey.hashes}
        needed_bytes = sum(files[name].size_bytes for name in lacking.values())
        if needed_bytes > survey.free_bytes:
            raise SessionError(
                f"{self.name} has {format_bytes(survey.free_bytes)} free and needs "
                f"{format_bytes(needed_bytes)} for the bundle; free some, or give a folder on "
                "another disk: ssh://host/folder."
            )
        if lacking:
            # Names appear when all their bytes are there.
            script = [
                self._enter(),
                "part=$(mktemp -d part.XXXXXX)",
                "trap 'rm -rf \"$part\"' EXIT",
                "trap 'exit 1' HUP INT TERM",
                'tar -xf - -C "$part"',
                'mv -f "$part"/* files/',
            ]
            self.shell.send(script, {h: bundle.path / name for h, name in lacking.items()})

    def _survey(self, hashes: Iterable[str]) -> Survey:
        script = [
            self._enter(),
            "uname -m",
            "df -Pk . | tail -n 1",
            f"for f in {' '.join(sorted(hashes))}; do [ ! -f files/$f ] || echo $f; done",
        ]
        arch, disk, *present = [*self.shell.run(script), "", ""]
        free = _FREE_KILOBYTES.search(disk)
        if free is None:
            raise SessionError(
                f"{self.name} does not say how much space is free in {self.folder}; give another "
                "folder: ssh://host/folder."
            )
        return Survey(arch=arch, free_bytes=1024 * int(free[1]), hashes=frozenset(present))


def _files_of(bundle: Bundle) -> dict[str, _Sent]:
    """Every file of a bundle, by name."""
    listed = {name: _Sent(e.size_bytes, e.sha256) for name, e in bundle.manifest.files.items()}
    own = {name: (bundle.path / name).read_bytes() for name in (MANIFEST_NAME, DIGEST_NAME)}
    return listed | {n: _Sent(len(d), hashlib.sha256(d).hexdigest()) for n, d in own.items()}
