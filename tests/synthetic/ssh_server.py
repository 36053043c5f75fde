"""A real SSH server on this machine, with keys, port and configuration of its own."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ATTEMPTS = 5

SERVER = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True)
class SshServer:
    """What is needed to reach it."""

    port: int
    client: Path
    """Holds an ``ssh`` that knows the server and has a key which the server accepts."""


def _generate_key(path: Path) -> None:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)]
    subprocess.run(command, check=True)


def _free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _write_client(folder: Path, port: int) -> Path:
    """A script in front of the real ``ssh`` that gives it the tests' configuration."""
    host_key = (folder / "host_key.pub").read_text()
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}")
    config = {
        "UserKnownHostsFile": folder / "known_hosts",
        "IdentityFile": folder / "user_key",
        "IdentitiesOnly": "yes",
        "StrictHostKeyChecking": "yes",
    }
    lines = [f"{name} {value}\n" for name, value in config.items()]
    (folder / "ssh_config").write_text("".join(lines))
    client = folder / "bin"
    client.mkdir()
    script = f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n'
    (client / "ssh").write_text(script)
    (client / "ssh").chmod(0o755)
    return client


@contextlib.contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """Run a server until the block ends; skips the test where none is installed."""
    if SERVER is None or not shutil.which("ssh") or not shutil.which("ssh-keygen"):
        pytest.skip("no SSH server is installed; scripts/install-packages installs one")
    for name in ("host_key", "user_key"):
        _generate_key(folder / name)
    shutil.copy(folder / "user_key.pub", folder / "authorized_keys")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # the server insists on it
    server, port = _start(folder)
    with server:
        try:
            yield SshServer(port, _write_client(folder, port))
        finally:
            server.terminate()


def _start(folder: Path) -> "tuple[subprocess.Popen[str], int]":
    """Start it on a free port; on another one where somebody took that before the server did."""
    for _ in range(ATTEMPTS):
        port = _free_port()
        server = subprocess.Popen(_command(folder, port), stderr=subprocess.PIPE, text=True)
        said = server.stderr.readline()
        if "listening" in said:
            return server, port
        with server:
            server.terminate()
        assert "Address already in use" in said, said
    raise AssertionError(f"{ATTEMPTS} ports in turn were taken before the server had them")


def _command(folder: Path, port: int) -> list[str]:
    assert SERVER is not None
    options = {
        "Port": port,
        "ListenAddress": "127.0.0.1",
        "HostKey": folder / "host_key",
        "AuthorizedKeysFile": folder / "authorized_keys",
        "PidFile": "none",
        "StrictModes": "no",  # the folder's parents may be anybody's
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "prohibit-password",
        "PrintMotd": "no",
    }
    settings = [f"-o{name}={value}" for name, value in options.items()]
    return [SERVER, "-D", "-e", "-f", "/dev/null", *settings]
