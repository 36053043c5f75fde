"""Check that wheel and sdist hold what they should: ``python scripts/check_distribution.py``.

A wheel that is built from the sdist is empty, without any message, when the sdist lacks a folder.
So wheels are built from the tree and from the sdist, and both are held against git's list of files.
"""

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

CODE = ("compiler", "runtimes", "targets")
SDIST = (*CODE, "tests", "docs")


def tree_files(root: Path, folders: Iterable[str]) -> set[str]:
    """List the files of these folders that git knows, or would know after ``git add``."""
    command = [
        "git",
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
        "--",
        *folders,
    ]
    output = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout
    return {name for name in output.split("\0") if name and (root / name).exists()}


def wheel_files(wheel: Path) -> set[str]:
    """List a wheel's files by their place in the tree, without its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if ".dist-info/" not in name]
    return {name.removeprefix("ossc/") for name in names}


def sdist_files(sdist: Path) -> set[str]:
    """List an sdist's files by their place in the tree, without those of its top folder."""
    with tarfile.open(sdist) as archive:
        names = [member.name.split("/", 1)[1] for member in archive if member.isfile()]
    return {name for name in names if "/" in name}


def differences(what: str, found: set[str], expected: set[str]) -> list[str]:
    """Say which files an archive lacks, and which it should not have."""
    lacks = [f"{what} lacks {name}" for name in sorted(expected - found)]
    return lacks + [f"{what} should not hold {name}" for name in sorted(found - expected)]


def build(root: Path, out: Path, *formats: str) -> Path:
    """Build with the environment's hatchling; return the last archive made."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), *formats]
    subprocess.run([*command, str(root)], check=True, capture_output=True)
    wheels, sdists = sorted(out.glob("*.whl")), sorted(out.glob("*.tar.gz"))
    return (wheels or sdists)[-1]


def check(root: Path, scratch: Path) -> list[str]:
    """Build all archives from the tree; return what is wrong with them."""
    code, everything = tree_files(root, CODE), tree_files(root, SDIST)
    direct = build(root, scratch / "direct", "--wheel")
    through = build(root, scratch / "through")  # an sdist, and a wheel from it
    sdist = next((scratch / "through").glob("*.tar.gz"))
    return [
        *differences("the wheel", wheel_files(direct), code),
        *differences("the wheel made from the sdist", wheel_files(through), code),
        *differences("the sdist", sdist_files(sdist), everything),
    ]


def main() -> None:
    """Print what is wrong, and end with 1 when anything is."""
    with tempfile.TemporaryDirectory() as scratch:
        problems = check(Path(__file__).parent.parent, Path(scratch))
    print("\n".join(problems) or "Wheel and sdist hold what the tree holds.")
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
