"""Measuring on another machine: a real SSH server on this one stands in for it."""

import errno
import os
import platform
import signal
import sys
import tarfile

import numpy as np
import pytest

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import HostEntry, TargetEntry
from ossc.runtimes.profile.places import find_place
from ossc.runtimes.profile.places.ssh_place import DEFAULT_FOLDER, SshPlace
from ossc.runtimes.profile.places.ssh_shell import SshShell
from ossc.runtimes.session import Session
from ossc.targets.errors import BundleError, SessionError, UsageError
from synthetic.ssh_server import ssh_server
from synthetic.tiny_bundle import write_bundle


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ssh_server(tmp_path_factory.mktemp("ssh")) as server:
        yield server


@pytest.fixture
def client(server, monkeypatch):
    """The port of a server that the ``ssh`` in the search path knows."""
    monkeypatch.setenv("PATH", f"{server.client}{os.pathsep}{os.environ['PATH']}")
    return server


@pytest.fixture
def url(client, tmp_path):
    return f"ssh://127.0.0.1:{client.port}{tmp_path}/there"


@pytest.fixture
def sent(monkeypatch):
    """The names of the files that were sent, in the order of the calls."""
    names = []
    send = SshShell.send

    def record(self, script, files):
        names.append(sorted(path.name for path in files.values()))
        send(self, script, files)

    monkeypatch.setattr(SshShell, "send", record)
    return names


def test_the_bundle_runs_there_and_its_answers_come_back(url, tiny_bundle):
    place = find_place(url)
    with place.start(Bundle.open(tiny_bundle), threads=2, weights="resident") as runner:
        assert runner.hello.threads == 2
        runner.times(True)
        timing = runner.prefill([5, 1, 30])
        assert timing.times.thread_ns.shape[1:] == (2, 2)
    with Session(tiny_bundle, threads=1) as session:
        assert timing.argmax == int(np.argmax(session.prefill([5, 1, 30])))
    assert (place.name, place.emulated) == (url[: url.index("/", 6)], False)


def test_what_was_copied_is_not_copied_again(url, tiny_bundle, tmp_path, sent):
    place = find_place(url)
    for _ in range(2):
        place.start(Bundle.open(tiny_bundle)).close()
    assert sent == [sorted(path.name for path in tiny_bundle.iterdir())]
    copies = list((tmp_path / "there" / "bundles").iterdir())
    assert len(copies) == 1
    for file in tiny_bundle.iterdir():
        assert (copies[0] / file.name).read_bytes() == file.read_bytes()


def test_of_another_bundle_only_what_differs_is_copied(url, tiny_bundle, tmp_path, binaries, sent):
    place = find_place(url)
    place.start(Bundle.open(tiny_bundle)).close()
    other = write_bundle(tmp_path / "other", binaries, ossc_version="9.9.9")
    with place.start(Bundle.open(other)) as runner:
        runner.prefill([1])
    assert sent[1] == ["manifest.json", "manifest.sha256"]
    assert len(list((tmp_path / "there" / "bundles").iterdir())) == 2


@pytest.mark.parametrize("files", [0, 2])
def test_a_copy_that_breaks_off_leaves_no_part_of_a_file(
    url, tiny_bundle, tmp_path, monkeypatch, files
):
    place, bundle = find_place(url), Bundle.open(tiny_bundle)
    add, added = tarfile.TarFile.addfile, []

    def break_off(archive, entry, file):
        added.append(entry.name)
        if len(added) <= files:
            return add(archive, entry, file)
        archive.fileobj.write(entry.tobuf() + b"x")
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile, "addfile", break_off)
        with pytest.raises(BundleError, match="cannot be read"):
            place.start(bundle)
    assert list((tmp_path / "there" / "files").iterdir()) == []
    with place.start(bundle) as runner:
        runner.prefill([1])
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["bundles", "files"]


def test_a_copy_can_be_interrupted(url, tiny_bundle, monkeypatch):
    def interrupt(*_arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(tarfile.TarFile, "addfile", interrupt)
    with pytest.raises(KeyboardInterrupt):
        find_place(url).start(Bundle.open(tiny_bundle))


def test_a_script_that_is_interrupted_ends(monkeypatch):
    code = "import os, signal, time; os.kill(os.getppid(), signal.SIGINT); time.sleep(30)"
    started, start = [], SshShell._start
    monkeypatch.setattr(SshShell, "command", lambda *_: [sys.executable, "-c", code])
    monkeypatch.setattr(SshShell, "_start", lambda *a: started.append(start(*a)) or started[-1])
    with pytest.raises(KeyboardInterrupt):
        SshShell("nowhere").run(["true"])
    assert started[0].wait() == -signal.SIGKILL


def test_a_folder_may_have_any_name(client, tiny_bundle, tmp_path):
    folder = tmp_path / 'it\'s a "folder" & more'
    with find_place(f"ssh://127.0.0.1:{client.port}{folder}").start(Bundle.open(tiny_bundle)):
        assert (folder / "files").is_dir()


def test_a_login_may_print_what_it_likes(client, tiny_bundle, tmp_path, monkeypatch):
    command = SshShell.command
    monkeypatch.setattr(
        SshShell, "command", lambda self, script: command(self, ["echo '{}'; echo hi", *script])
    )
    url = f"ssh://127.0.0.1:{client.port}{tmp_path}/there"
    with find_place(url).start(Bundle.open(tiny_bundle)) as runner:
        runner.prefill([1])


def test_a_bundle_for_another_machine_is_refused_before_it_is_copied(url, tmp_path, sent, binaries):
    target = TargetEntry(name="cpu:other", host=HostEntry(arch="riscv64", cpu_features=()))
    bundle = write_bundle(tmp_path / "other", binaries, target=target)
    with pytest.raises(SessionError, match=f"for riscv64 and ssh.* is {platform.machine()}"):
        find_place(url).start(Bundle.open(bundle))
    assert sent == []


def test_features_that_the_machine_lacks_are_its_own_refusal(url, tmp_path, binaries):
    target = TargetEntry(
        name="cpu:o", host=HostEntry(arch=platform.machine(), cpu_features=("warp",))
    )
    bundle = write_bundle(tmp_path / "other", binaries, target=target)
    with pytest.raises(SessionError, match="needs a CPU with warp"):
        find_place(url).start(Bundle.open(bundle))


def test_a_disk_that_is_too_small_is_noticed_before_it_is_full(url, tiny_bundle, sent, monkeypatch):
    monkeypatch.setattr(
        SshShell, "run", lambda *_: [platform.machine(), "/dev/sda1  1000 999 1 99% /"]
    )
    with pytest.raises(SessionError, match=r"has 1.0 kB free and needs .* for the bundle"):
        find_place(url).start(Bundle.open(tiny_bundle))
    assert sent == []


def test_a_disk_that_is_full_after_all_says_so(client, tiny_bundle, tmp_path, monkeypatch):
    """The machine's ``tar`` reports what the system told it."""
    command = SshShell.command
    full = "tar() { echo 'tar: weights.bin: No space left on device' >&2; return 1; }"
    monkeypatch.setattr(SshShell, "command", lambda self, script: command(self, [full, *script]))
    url = f"ssh://127.0.0.1:{client.port}{tmp_path}/there"
    with pytest.raises(SessionError, match=r"refused the bundle .*No space left on device"):
        find_place(url).start(Bundle.open(tiny_bundle))
    assert list((tmp_path / "there" / "files").iterdir()) == []


def test_a_folder_that_cannot_be_made_says_so(client, tiny_bundle, tmp_path):
    (tmp_path / "file").write_text("")
    url = f"ssh://127.0.0.1:{client.port}{tmp_path}/file/folder"
    with pytest.raises(SessionError, match=r"refused the bundle .*Not a directory"):
        find_place(url).start(Bundle.open(tiny_bundle))


def test_a_machine_that_does_not_answer_says_so(client, tiny_bundle):
    with pytest.raises(SessionError, match=r"cannot be reached \(.*refused\)"):
        find_place("ssh://127.0.0.1:1").start(Bundle.open(tiny_bundle))


def test_a_key_that_is_not_accepted_is_no_question(client, url, tiny_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("ossc.runtimes.profile.places.ssh_shell.OPTIONS", (
        "-oBatchMode=yes", "-oLogLevel=ERROR", f"-oIdentityFile={tmp_path}/none", "-F/dev/null",
        "-oUserKnownHostsFile=/dev/null", "-oStrictHostKeyChecking=no", "-oIdentitiesOnly=yes",
    ))  # fmt: skip
    with pytest.raises(SessionError, match=r"cannot be reached \(.*Permission denied"):
        find_place(url).start(Bundle.open(tiny_bundle))


def test_an_unknown_machine_is_not_trusted(client, tiny_bundle, monkeypatch, tmp_path):
    known = client.client.parent / "known_hosts"
    kept = known.read_text()
    known.write_text("")
    try:
        with pytest.raises(SessionError, match="Host key verification failed"):
            find_place(f"ssh://127.0.0.1:{client.port}{tmp_path}").start(Bundle.open(tiny_bundle))
    finally:
        known.write_text(kept)


def test_without_ssh_it_is_named(tiny_bundle, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SessionError, match="install an SSH client"):
        find_place("ssh://pi").start(Bundle.open(tiny_bundle))


def test_a_bundle_without_an_executable_is_refused(tmp_path, url):
    with pytest.raises(BundleError, match="has no ossc-run"):
        find_place(url).start(Bundle.open(write_bundle(tmp_path / "b")))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("ssh://pi", SshPlace(SshShell("pi"), DEFAULT_FOLDER)),
        ("ssh://pi/", SshPlace(SshShell("pi"), DEFAULT_FOLDER)),
        ("ssh://me@pi.local:2222/mnt/x/", SshPlace(SshShell("pi.local", "me", 2222), "/mnt/x")),
        ("ssh://pi/~/bundles/x", SshPlace(SshShell("pi"), "bundles/x")),
        ("ssh://pi/~", SshPlace(SshShell("pi"), "/~")),
        ("ssh://[::1]:22", SshPlace(SshShell("[::1]", None, 22), DEFAULT_FOLDER)),
    ],
)
def test_a_url_names_machine_and_folder(text, place):
    assert SshPlace.parse(text) == place


@pytest.mark.parametrize(
    "text",
    [
        "ssh://", "ssh://-oProxyCommand=x", "ssh://-l@pi", "ssh://me:secret@pi", "ssh://pi:0",
        "ssh://pi:99999", "ssh://pi:x", "ssh:pi", "ssh://pi;ls", "ssh://pi/a\nb", "ssh://pï",
    ],
)  # fmt: skip
def test_another_url_is_refused(text):
    with pytest.raises(UsageError, match="is no machine"):
        find_place(text)


def test_the_address_is_no_option():
    command = SshShell("[::1]", "me", 22).command(["true"])
    assert command[0] == "ssh"
    assert command[-7:-1] == ["-l", "me", "-p", "22", "--", "::1"]
