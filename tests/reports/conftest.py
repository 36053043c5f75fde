"""What the cases share: the command line, one compiled bundle, and a script for its answers."""

import dataclasses
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from tokenizers import Tokenizer

from compiled import Build, backend, compiled, objects
from ossc.compiler.backends.cpu.backend import CpuBackend
from ossc.compiler.cli import main
from ossc.runtimes.bundle import EXECUTABLE_NAME, LIBRARY_NAME
from ossc.runtimes.sampler import Sampler
from reports.commands import list_files, one_sentence
from synthetic.tokenizer import write_tokenizer

__all__ = ["backend", "compiled", "objects"]

BUILD = Build(quant="default")
"""What other tests compile too, so that one run of all tests compiles it once."""


@pytest.fixture
def ossc():
    """``ossc(*arguments)`` runs a command; the result has exit_code, stdout and stderr."""
    return lambda *arguments: CliRunner().invoke(main, [*map(str, arguments)], prog_name="ossc")


@pytest.fixture
def refusal(ossc):
    """``refusal(*arguments)`` runs a command that fails as it should, and returns its sentence."""

    def run(*arguments, exit_codes=(1, 2, 3)):
        result = ossc(*arguments)
        assert result.exit_code in exit_codes, result.output
        return one_sentence(result.stderr)

    return run


@pytest.fixture(scope="session")
def model(compiled):
    """The checkpoint that ``plain_bundle`` was compiled from."""
    return compiled(BUILD).model


@pytest.fixture(scope="session")
def plain_bundle(compiled):
    """A bundle without tokenizer and without stop tokens; not to be changed."""
    return compiled(BUILD).bundle


@pytest.fixture
def bundle(plain_bundle, tmp_path):
    """A copy of it, with a tokenizer that has harmony's special tokens, and a chat template."""
    folder = Path(shutil.copytree(plain_bundle, tmp_path / "bundle"))
    write_tokenizer(folder, BUILD.shape)
    list_files(folder, stop_token_ids=tuple(BUILD.shape.stop_token_ids()))
    return folder


@pytest.fixture
def answer(bundle, monkeypatch):
    """``answer(text)`` makes the bundle's next answer this text, special tokens as ids."""
    tokenizer = Tokenizer.from_file(str(bundle / "tokenizer.json"))

    def script(text):
        ids = iter(tokenizer.encode(text, add_special_tokens=False).ids)
        monkeypatch.setattr(Sampler, "sample", lambda *_: next(ids))

    return script


@pytest.fixture
def without_code_generation(plain_bundle, monkeypatch):
    """Let compilations of the same shape take their kernels from ``plain_bundle``."""

    def copy_binaries(_backend, _lowered, _target, folder, _scratch):
        for name in (EXECUTABLE_NAME, LIBRARY_NAME):
            shutil.copy(plain_bundle / name, folder / name)

    monkeypatch.setattr(CpuBackend, "emit", copy_binaries)


@pytest.fixture
def recipe(compiled):
    """``recipe(model, out)`` is the order that gave ``plain_bundle``, for another checkpoint."""
    like = compiled(BUILD).recipe()
    return lambda model, out: dataclasses.replace(like, model=model, out=out)
