"""The C program of docs/runtime-api.md, compiled and run as the page says."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ossc.runtimes.session import Session

PAGE = Path(__file__).parents[2] / "docs" / "runtime-api.md"


def commands_on_path(folder):
    """A search path where ``ossc`` and ``cc`` are; zig stands in for a missing compiler."""
    folder.mkdir()
    program = {"ossc": '-c "from ossc.compiler.cli import main; main()"', "cc": "-m ziglang cc"}
    for name, arguments in program.items():
        if name == "ossc" or shutil.which(name) is None:
            (folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} {arguments} "$@"\n')
            (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_the_program_of_the_page_compiles_and_runs_as_it_says(tiny_bundle, tmp_path):
    (source,) = re.findall(r"```c\n(// generate\.c\n.*?)```", PAGE.read_text(), re.DOTALL)
    ((compilation, run),) = re.findall(r"```\n(cc .*)\n(\./generate .*)\n```", PAGE.read_text())
    (tmp_path / "generate.c").write_text(source)
    environment = dict(os.environ) | {
        "PATH": commands_on_path(tmp_path / "path"),
        "PYTHONPATH": str(PAGE.parents[1] / ".links"),
    }
    done = subprocess.run(
        ["sh", "-e", "-c", f"{compilation} -Wall -Wextra -Werror\n{run}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    with Session(tiny_bundle) as session:
        token_ids = list(session.generate([1, 2, 3], max_new_tokens=16))
    assert token_ids
    assert list(map(int, done.stdout.split())) == token_ids
    refused = subprocess.run(
        ["./generate", "nowhere", "1"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "nowhere" in refused.stderr
