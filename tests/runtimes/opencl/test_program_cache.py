"""What the driver made of a program is kept, and what is not whole is made again."""

import fcntl
import hashlib
import os
import re
import signal
import struct
import subprocess
import time
from functools import partial

import pytest

from synthetic.opencl_bundle import write_opencl_bundle
from synthetic.opencl_plan import KERNELS
from synthetic.tiny_bundle import reference_logits

HEADER_BYTES = 8 + 64 + 64 + 8
KEY = re.compile(r"[0-9a-f]{64}")
IDS = [5, 1, 30]
PROMPT = " ".join(map(str, IDS))
EXPECTED = str(int(reference_logits(IDS)[-1].argmax()))
LEAST = str(int(reference_logits(IDS)[-1].argmin()))
NEGATED = KERNELS.replace("= sum;\n}", "= -sum;\n}")
"""The head gives the opposite, and so the least likely token."""


@pytest.fixture
def run_on(bundle, run_program):
    """Runs the bundle on a driver's device and returns the token that it gives."""

    def run(driver, **environment):
        command = [bundle, "--token-ids", PROMPT, "-n", "1", "--device", driver.device]
        done = run_program(*command, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.fixture
def token(run_on, rusticl):
    """Runs the bundle on the driver that builds fast."""
    return partial(run_on, rusticl)


@pytest.fixture
def entry(token, caches):
    """The file of the cache after a run."""
    assert token() == EXPECTED
    (path,) = caches.iterdir()
    return path


def forged(data, key):
    """A sound file with the driver's bytes of another one."""
    binary = data[HEADER_BYTES:]
    digest = hashlib.sha256(binary).hexdigest().encode()
    return b"OSSCPRG1" + key.encode() + digest + struct.pack("<Q", len(binary)) + binary


def test_the_file_is_what_the_code_says(entry):
    data = entry.read_bytes()
    assert KEY.fullmatch(entry.name)
    assert data == forged(data, entry.name)
    assert entry.stat().st_mode & 0o777 == 0o600


def test_whoever_waits_for_the_driver_is_told(bundle, run_program, rusticl, caches):
    command = [bundle, "--token-ids", PROMPT, "-n", "1", "--device", rusticl.device]
    said = [run_program(*command).stderr for _ in range(2)]
    said.append(run_program(*command, OSSC_CACHE_DIR="none").stderr)
    assert "builds kernels.cl, once; later it comes from the cache.\n" in said[0]
    assert "builds" not in said[1]
    assert "builds kernels.cl, each time.\n" in said[2]


def test_the_driver_takes_back_what_it_made(entry, token, tmp_path, binaries, caches):
    """The binary of other kernels, under the name of these, gives what those compute."""
    sound = entry.read_bytes()
    write_opencl_bundle(tmp_path / "bundle", binaries, kernels=NEGATED)
    assert token() == LEAST
    (other,) = set(caches.iterdir()) - {entry}
    write_opencl_bundle(tmp_path / "bundle", binaries)
    entry.write_bytes(forged(other.read_bytes(), entry.name))
    assert token() == LEAST
    entry.write_bytes(sound)
    assert token() == EXPECTED


def with_byte(data, place):
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


DAMAGES = {
    "empty": lambda _: b"",
    "cut-header": lambda data: data[:100],
    "cut": lambda data: data[:-1],
    "longer": lambda data: data + b"\0",
    "magic": lambda data: with_byte(data, 0),
    "key": lambda data: with_byte(data, 20),
    "hash": lambda data: with_byte(data, 100),
    "size": lambda data: with_byte(data, 137),
    "first-byte": lambda data: with_byte(data, HEADER_BYTES),
    "last-byte": lambda data: with_byte(data, len(data) - 1),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_replaced(entry, token, damage):
    sound = entry.read_bytes()
    entry.write_bytes(DAMAGES[damage](sound))
    assert token() == EXPECTED
    assert entry.read_bytes() == forged(sound, entry.name)


def test_what_the_driver_does_not_take_back_is_replaced(run_on, pocl, caches):
    """Bytes of another release, say; Mesa 22.3 aborts on those, but its version is in the key."""
    assert run_on(pocl) == EXPECTED
    (entry,) = caches.iterdir()
    entry.write_bytes(forged(bytes(HEADER_BYTES) + b"no program", entry.name))
    assert run_on(pocl) == EXPECTED
    assert len(entry.read_bytes()) > 1000


def test_what_a_killed_writer_left_is_taken_over(entry, token):
    entry.rename(entry.with_name(f"{entry.name}.tmp"))
    os.truncate(entry.with_name(f"{entry.name}.tmp"), 50)
    assert token() == EXPECTED
    assert [path.name for path in entry.parent.iterdir()] == [entry.name]


def test_who_writes_the_same_file_is_not_disturbed(entry, token):
    new = entry.with_name(f"{entry.name}.tmp")
    entry.rename(new)
    with new.open() as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        before = new.read_bytes()
        assert token() == EXPECTED
        assert new.read_bytes() == before
        assert not entry.exists()


def test_a_build_that_is_killed_leaves_nothing_that_harms(bundle, token, caches, rusticl):
    command = [bundle / "ossc-run", bundle, "--token-ids", PROMPT, "--device", rusticl.device]
    for delay_s in (0.02, 0.1, 0.2, 0.3):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as one:
            time.sleep(delay_s)
            one.send_signal(signal.SIGKILL)
    assert token() == EXPECTED
    (entry,) = caches.iterdir()
    assert entry.read_bytes() == forged(entry.read_bytes(), entry.name)


@pytest.mark.parametrize("place", ["none", "file/below", "/proc/nowhere"])
def test_without_a_place_nothing_is_kept(token, tmp_path, caches, place):
    (tmp_path / "file").touch()
    folder = place if place == "none" else str(tmp_path / place)
    assert token(OSSC_CACHE_DIR=folder) == EXPECTED
    assert not caches.exists()


def test_the_place_is_the_users_cache_folder(token, tmp_path):
    for variable, below in (("XDG_CACHE_HOME", "ossc"), ("HOME", ".cache/ossc")):
        home = tmp_path / variable
        others = {"XDG_CACHE_HOME": "", "HOME": "", "OSSC_CACHE_DIR": ""}
        assert token(**(others | {variable: str(home)})) == EXPECTED
        assert len(list((home / below).iterdir())) == 1
