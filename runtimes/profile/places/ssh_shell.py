"""Scripts on a machine that SSH reaches, with the user's own ``ssh`` and its configuration."""

import contextlib
import shlex
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ossc.targets.errors import BundleError, SessionError

READY = "ossc is ready"
"""Printed before a script's own lines: a login may print whatever it likes first."""

OPTIONS = (
    "-T",  # no terminal
    "-oBatchMode=yes",  # no questions: nobody answers them
    "-oConnectTimeout=10",
    "-oServerAliveInterval=15",  # notices a machine that is gone
    "-oLogLevel=ERROR",
)
NOT_CONNECTED = 255
"""The status with which ssh ends when it was the connection that failed."""


@dataclass(frozen=True)
class SshShell:
    """A user's shell on another machine. A script is lines of POSIX shell; one that fails ends it.

    Every method raises `SessionError` when the machine cannot be reached, or the script fails.
    """

    host: str
    user: str | None = None
    port: int | None = None

    @property
    def name(self) -> str:
        """``ssh://[user@]host[:port]``."""
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"ssh://{user}{self.host}{port}"

    def command(self, script: Sequence[str]) -> list[str]:
        """Return the command that runs a script there."""
        lines = "\n".join(["set -e", *script])
        return ["ssh", *OPTIONS, *self._address(), f"sh -c {shlex.quote(lines)}"]

    def run(self, script: Sequence[str]) -> list[str]:
        """Run a script, and return the lines that it prints."""
        command = self.command([f"echo {shlex.quote(READY)}", *script])
        with tempfile.TemporaryFile() as messages:
            with self._start(command, subprocess.DEVNULL, subprocess.PIPE, messages) as process:
                assert process.stdout is not None, "it was asked for"
                with _killed_when_interrupted(process):
                    lines = process.stdout.read().decode(errors="replace").splitlines()
            self._check(process.returncode, messages)
        if READY not in lines:
            raise SessionError(f"{self.name} runs no shell (sh); ossc needs one there.")
        return lines[lines.index(READY) + 1 :]

    def send(self, script: Sequence[str], files: Mapping[str, Path]) -> None:
        """Run a script whose input is a tar archive.

        Args:
            script: What unpacks it.
            files: By their names in the archive; an executable one stays executable.

        Raises:
            BundleError: A file cannot be read.
        """
        command = self.command(script)
        with tempfile.TemporaryFile() as messages:
            with self._start(command, subprocess.PIPE, subprocess.DEVNULL, messages) as process:
                assert process.stdin is not None, "it was asked for"
                with _killed_when_interrupted(process):
                    with contextlib.suppress(BrokenPipeError):  # then the status says why
                        _write_archive(process.stdin, files)
                    with contextlib.suppress(BrokenPipeError):
                        process.stdin.close()
            self._check(process.returncode, messages)

    def _address(self) -> list[str]:
        user = ["-l", self.user] if self.user else []
        port = ["-p", str(self.port)] if self.port else []
        return [*user, *port, "--", self.host.strip("[]")]

    def _start(
        self, command: list[str], stdin: int, stdout: int, messages: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=messages)
        except OSError as error:
            raise SessionError(
                f"ssh does not start ({error.strerror}); install an SSH client."
            ) from error

    def _check(self, status: int, messages: IO[bytes]) -> None:
        if status == 0:
            return
        messages.seek(0)
        lines = messages.read().decode(errors="replace").strip().splitlines()
        reason = lines[-1].strip() if lines else f"status {status}"
        if status == NOT_CONNECTED:
            attempt = shlex.join(["ssh", "-oBatchMode=yes", *self._address(), "true"])
            raise SessionError(
                f"{self.name} cannot be reached ({reason}); it has to accept your key without a "
                f"question: try `{attempt}`."
            )
        raise SessionError(f"{self.name} refused the bundle ({reason}).")


@contextlib.contextmanager
def _killed_when_interrupted(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        process.kill()
        raise


def _write_archive(stream: IO[bytes], files: Mapping[str, Path]) -> None:
    """Write a tar archive without anything of this machine but contents: no owners, no times."""
    # GNU's format: every tar reads its sizes beyond 8 GB, BusyBox's too.
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.GNU_FORMAT) as archive:
        for name, path in files.items():
            try:
                _add(archive, name, path)
            except BrokenPipeError:
                raise
            except OSError as error:
                raise BundleError(f"{path} cannot be read ({error.strerror or error}).") from error


def _add(archive: tarfile.TarFile, name: str, path: Path) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = path.stat().st_size
    entry.mode = path.stat().st_mode & 0o777
    with path.open("rb") as file:
        archive.addfile(entry, file)
