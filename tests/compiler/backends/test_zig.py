"""zig's cache is tried before it is needed, and what zig starts ends with it."""

import os
import select
import sys
from pathlib import Path

import pytest

from disks import run_on_disk
from ossc.compiler.backends import runtime_link, zig
from ossc.compiler.backends.runtime_link import prepare_linker
from ossc.compiler.backends.zig import try_zig_cache, zig_cache_folder, zig_cc
from ossc.compiler.progress import SilentReporter
from ossc.targets import resolve_target
from ossc.targets.errors import ToolchainError

LINKS = Path(__file__).parents[3] / ".links"
TRY = (
    "from ossc.compiler.backends.zig import try_zig_cache\n"
    "from ossc.targets.errors import ToolchainError\n"
    "try: try_zig_cache()\n"
    "except ToolchainError as error: print(error)"
)


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"ZIG_GLOBAL_CACHE_DIR": "/a", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/a"),
        ({"ZIG_GLOBAL_CACHE_DIR": "", "XDG_CACHE_HOME": "/b", "HOME": "/c"}, "/b/zig"),
        ({"HOME": "/c"}, "/c/.cache/zig"),
        ({"HOME": ""}, "/from/passwd/.cache/zig"),
        ({}, "/from/passwd/.cache/zig"),
        ({"ZIG_GLOBAL_CACHE_DIR": "a"}, "/here/a"),
    ],
)
def test_the_cache_is_where_the_environment_says(monkeypatch, environment, folder):
    for name in ("ZIG_GLOBAL_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    user = zig.pwd.struct_passwd(("u", "x", 1, 1, "", "/from/passwd", ""))
    monkeypatch.setattr(zig.pwd, "getpwuid", lambda _: user)
    monkeypatch.setattr(zig.os, "getcwd", lambda: "/here")
    assert zig_cache_folder() == Path(folder)


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    def unknown(_user):
        raise KeyError

    for name in ("ZIG_GLOBAL_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(zig.pwd, "getpwuid", unknown)
    with pytest.raises(ToolchainError, match="has no home; set ZIG_GLOBAL_CACHE_DIR to one"):
        zig_cache_folder()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("ro", "cannot take 100 MB (Read-only file system); set ZIG_GLOBAL_CACHE_DIR"),
        ("size=20m", "cannot take 100 MB (No space left on device); set ZIG_GLOBAL_CACHE_DIR"),
        ("size=120m", ""),
    ],
)
def test_a_disk_that_cannot_take_a_new_cache(tmp_path, options, reason):
    cache = {"ZIG_GLOBAL_CACHE_DIR": str(tmp_path / "zig"), "PYTHONPATH": str(LINKS)}
    done = run_on_disk(tmp_path, options, [sys.executable, "-c", TRY], **cache)
    assert done.returncode == 0, done.stderr
    assert reason in done.stdout
    assert bool(done.stdout) == bool(reason)


def test_a_cache_that_is_there_needs_little_more(tmp_path):
    (tmp_path / "zig" / "o").mkdir(parents=True)
    program = f"import os; os.makedirs({str(tmp_path / 'zig' / 'o')!r})\n{TRY}"
    cache = {"ZIG_GLOBAL_CACHE_DIR": str(tmp_path / "zig"), "PYTHONPATH": str(LINKS)}
    done = run_on_disk(tmp_path, "size=20m", [sys.executable, "-c", program], **cache)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_folder_that_cannot_be_made_is_refused_at_once(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "zig", Path("/proc/nowhere")):
        monkeypatch.setenv("ZIG_GLOBAL_CACHE_DIR", str(place))
        with pytest.raises(ToolchainError, match="set ZIG_GLOBAL_CACHE_DIR to a folder that can"):
            try_zig_cache()


class Phases(SilentReporter):
    """Keeps the names of phases."""

    def __init__(self):
        self.names = []

    def phase(self, name, _total_bytes=None):
        """Keep it."""
        self.names.append(name)


def test_the_linker_is_tried_and_leaves_nothing(monkeypatch):
    """Other processes may use the cache at the same time, so only what this one made counts."""
    outputs = []

    def linked(arguments, *rest, **options):
        zig_cc(arguments, *rest, **options)
        outputs.append(Path(arguments[arguments.index("-o") + 1]))
        assert outputs[-1].exists()

    phases = Phases()
    monkeypatch.setattr(zig, "SLOW_S", 1e6)
    monkeypatch.setattr(runtime_link, "zig_cc", linked)
    prepare_linker(resolve_target("cpu"), phases)
    assert phases.names == ["Trying zig"]
    assert len(outputs) == 2
    assert {output.parent.parent for output in outputs} == {zig_cache_folder()}
    assert not any(output.parent.exists() for output in outputs)


def pretend(monkeypatch, code):
    """Let zig be a Python program."""
    monkeypatch.setattr(zig, "zig_command", lambda: [sys.executable, "-c", code])


def test_a_cold_cache_is_announced(monkeypatch):
    pretend(monkeypatch, "input()")
    monkeypatch.setattr(zig, "SLOW_S", 0.0)
    phases = Phases()
    with pytest.raises(ToolchainError):  # its input is empty
        prepare_linker(resolve_target("cpu"), phases)
    assert phases.names[0] == "Trying zig"
    assert phases.names[1].endswith("-linux-musl, once: 1 to 2 minutes")


def test_what_zig_started_ends_with_an_interruption(monkeypatch, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    code = (
        "import os, signal\n"
        "if os.fork(): signal.pause()\n"
        f"held = open({str(pipe)!r}, 'w')\n"
        f"os.kill({os.getpid()}, signal.SIGINT)\n"
        "signal.pause()"
    )
    pretend(monkeypatch, code)
    with pytest.raises(KeyboardInterrupt):
        zig_cc([], "a program")
    ended, _, _ = select.select([read], [], [], 60)
    assert ended, "somebody holds the other end still"
    os.close(read)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import sys; sys.exit('error: x: NoSpaceLeft')", "the disk of its cache is full; free"),
        ("import os; os.kill(os.getpid(), 7)", "it was ended by SIGBUS, as when disk or memory"),
        ("import sys; sys.exit('a\\nb.c:1: error: no such thing\\n')", "b.c:1: error: no such th"),
        ("import sys; sys.exit('\\udcff')", "zig could not link a program: "),
    ],
)
def test_a_failure_is_one_sentence(monkeypatch, code, sentence):
    pretend(monkeypatch, code)
    with pytest.raises(ToolchainError) as raised:
        zig_cc([], "a program")
    assert sentence in str(raised.value)


def test_a_zig_that_does_not_start_is_said(monkeypatch):
    monkeypatch.setattr(zig, "zig_command", lambda: ["/proc/self/mem"])
    with pytest.raises(ToolchainError, match=r"does not start \(Permission denied\); install"):
        zig_cc([], "a program")


def test_zig_runs_in_one_place_wherever_ossc_does(monkeypatch, tmp_path):
    """In the folders of two projects it would take each other's cache for its own, and be wrong."""
    monkeypatch.chdir(tmp_path)
    program = "import os, sys; sys.exit(f'error: in {os.getcwd()} now')"
    monkeypatch.setattr(zig, "zig_command", lambda: [sys.executable, "-c", program])
    with pytest.raises(ToolchainError, match="error: in / now"):
        zig_cc(["x.c"], "a program")
