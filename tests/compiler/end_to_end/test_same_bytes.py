"""The same inputs give the same bundle, to the byte, wherever and however they are compiled."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from compiled import Build
from ossc.runtimes.kv_type import KV_TYPES
from ossc.runtimes.manifest import Manifest
from ossc.targets import resolve_target
from synthetic import SyntheticShape

ROOT = Path(__file__).parents[3]
HERE = resolve_target("cpu")
TARGETS = (HERE.name, "cpu:x86-64-v3" if HERE.host.arch == "aarch64" else "cpu:aarch64")
SHAPE = SyntheticShape(layer_types=("full_attention",) * 2)
"""Without windows all its kernels are those of other tests' bundles, whatever the prefill chunk."""

COMMAND = """
import os, sys
from pathlib import Path
from shared_objects import generate_few_objects
from ossc.compiler.cli import main
os.umask(0o077)
generate_few_objects(Path(sys.argv.pop(1)))
main(prog_name="ossc")
"""


@pytest.fixture(scope="module")
def bundles(compiled):
    """A bundle of each target, compiled one at a time in this process; ``cpu`` is not named."""
    whole = {"quant": "default", "prefill_chunk": None, "instruction_sets": None}
    whole |= {"shape": SHAPE, "kv_types": KV_TYPES}
    spelled = {TARGETS[0]: "cpu", TARGETS[1]: TARGETS[1]}
    return {name: compiled(Build(target=target, **whole)) for name, target in spelled.items()}


@pytest.fixture(scope="module")
def elsewhere(bundles, objects, tmp_path_factory):
    """The folder of the same bundles, compiled by one command in another place and environment.

    Some of its kernels are compiled there too, which is what takes long.
    """
    folder = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(bundles[TARGETS[0]].model, folder / "the model")
    for name in ("home", "tmp", "current"):
        (folder / name).mkdir()
    arguments = ["../the model", "--quant", "default", "--context", "300", "--out", "bundles"]
    arguments += [argument for name in reversed(TARGETS) for argument in ("--target", name)]
    cache = os.environ.get("ZIG_GLOBAL_CACHE_DIR", str(Path.home() / ".cache" / "zig"))
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, str(objects), "compile", *arguments],
        cwd=folder / "current",
        env={
            "HOME": str(folder / "home"),
            "LC_ALL": "C",
            "PATH": "",
            "PYTHONHASHSEED": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT / ".links"), str(ROOT / "tests")]),
            "TMPDIR": str(folder / "tmp"),
            "TZ": "Asia/Tokyo",
            "ZIG_GLOBAL_CACHE_DIR": cache,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    places = [f"bundles/{name.replace(':', '-')}" for name in reversed(TARGETS)]
    assert done.stdout.splitlines() == places
    assert "Traceback" not in done.stderr
    for name in TARGETS:
        assert f"for {name}" in done.stderr
    return folder


@pytest.mark.parametrize("target", TARGETS)
def test_every_file_has_the_same_bytes(bundles, elsewhere, target):
    there = elsewhere / "current" / "bundles" / target.replace(":", "-")
    here = bundles[target].bundle
    assert Manifest.read(there) == Manifest.read(here)
    assert sorted(path.name for path in there.iterdir()) == sorted(
        path.name for path in here.iterdir()
    )
    for file in here.iterdir():
        assert (there / file.name).read_bytes() == file.read_bytes(), file.name


def test_nothing_is_left_outside_of_the_bundles(bundles, elsewhere):
    assert [path.name for path in (elsewhere / "current").iterdir()] == ["bundles"]
    assert len(list((elsewhere / "current" / "bundles").iterdir())) == len(TARGETS)
    assert list((elsewhere / "home").iterdir()) == []
    assert list((elsewhere / "tmp").iterdir()) == []
    assert sorted(path.name for path in (elsewhere / "the model").iterdir()) == sorted(
        path.name for path in bundles[TARGETS[0]].model.iterdir()
    )


@pytest.mark.parametrize("target", TARGETS)
def test_no_file_holds_a_path_of_this_machine(bundles, target):
    build = bundles[target]
    folders = [ROOT, build.model, build.bundle, tempfile.gettempdir(), Path.home(), sys.prefix]
    paths = [os.fsencode(folder) for folder in folders if len(str(folder)) > len("/tmp")]
    for file in build.bundle.iterdir():
        data = file.read_bytes()
        assert [path for path in [*paths, b"/tmp/", b"site-packages"] if path in data] == []
