"""Bundles for tests: each is compiled once per test run, whichever worker asks first.

Bundles of many shapes and plans have most kernels in common; those are compiled once too.
"""

import fcntl
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.pipeline import compile_model, quantized_model
from ossc.compiler.quantization.plan import load_plan
from ossc.compiler.recipe import Recipe
from ossc.runtimes.emulation import find_emulator
from ossc.runtimes.kv_type import KvType
from ossc.runtimes.manifest import WEIGHTS_NAME
from ossc.runtimes.session import Session
from ossc.targets import resolve_target
from ossc.targets.errors import SessionError
from ossc.targets.machine import this_machine
from shared_objects import SharedBackend, shared_backend
from synthetic import SyntheticShape, make_checkpoint
from synthetic.layout import Experts, FloatTypes

CONTEXT = 300
"""Two whole prefill chunks of 128 and a part; no multiple of 8, the runtime's unit of positions."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """A synthetic checkpoint, and how it is compiled."""

    shape: SyntheticShape = field(default_factory=SyntheticShape)
    experts: Experts = "mxfp4"
    floats: FloatTypes = ()
    quant: str = "none"
    """A preset, or the text of a plan's TOML file."""

    target: str = "cpu"
    context: int = CONTEXT
    seed: int = 0
    tied: str | None = None
    """The one of embedding and head that the checkpoint lacks, because it is the other one."""

    prefill_chunk: int | None = 128
    instruction_sets: tuple[str, ...] | None = ()
    """Each one more makes compiling a third longer; the tests of kernels compare them all."""

    kv_types: tuple[KvType, ...] = ("f32",)
    """Those that a session of the bundle can have; all three make compiling half as long again."""


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """A bundle and the checkpoint that it was compiled from."""

    build: Build
    folder: Path

    @property
    def model(self) -> Path:
        """The checkpoint's folder."""
        return self.folder / "model"

    @property
    def bundle(self) -> Path:
        """The bundle's folder."""
        return self.folder / "bundle"

    @property
    def quant(self) -> str:
        """The preset, or the plan's file."""
        return str(self.folder / "plan.toml") if "=" in self.build.quant else self.build.quant

    def recipe(self, out: Path | None = None) -> Recipe:
        """Return the order that gives this bundle."""
        build = self.build
        return Recipe(
            model=self.model,
            target=build.target,
            quant=self.quant,
            context=build.context,
            prefill_chunk=build.prefill_chunk,
            instruction_sets=build.instruction_sets,
            out=out,
        )

    @property
    def source(self) -> SourceModel:
        """The checkpoint, opened."""
        return SourceModel.open(self.model)

    @property
    def weights(self) -> Path:
        """The bundle's file of packed weights."""
        return self.bundle / WEIGHTS_NAME

    def session(self, threads: int = 2) -> Session:
        """Open a session that records the routing."""
        return Session(self.bundle, threads, record_routing=True)

    def token_ids(self, count: int = CONTEXT) -> list[int]:
        """Return the first of this build's random token ids."""
        random = np.random.default_rng(1000 + self.build.seed)
        return random.integers(0, self.build.shape.vocab_size, CONTEXT).tolist()[:count]

    def quantized(self) -> ir.Model:
        """Return the graph that was compiled."""
        return quantized_model(self.source, load_plan(self.quant))


Compile = Callable[[Build], Compiled]


@pytest.fixture(scope="session")
def objects(run_folder: Path) -> Path:
    """Where the objects of kernels are, each compiled once per test run."""
    return run_folder / "objects"


@pytest.fixture(scope="session")
def backend(objects: Path) -> SharedBackend:
    """Makes bundles with KV caches in float32 only."""
    return shared_backend(objects, Build.kv_types)


@pytest.fixture(scope="session")
def backend_of_all_caches(objects: Path) -> SharedBackend:
    """Makes bundles with all that ossc gives them."""
    return shared_backend(objects)


@pytest.fixture(scope="session")
def compiled(run_folder: Path, objects: Path) -> Compile:
    """``compiled(build)`` gives the bundle; workers of one test run share them."""
    return lambda build: compile_once(
        build, run_folder / "compiled", shared_backend(objects, build.kv_types)
    )


def compile_once(build: Build, folder: Path, backend: SharedBackend) -> Compiled:
    """Compile, unless that was done already; another process that is at it is waited for."""
    place = folder / hashlib.sha256(repr(build).encode()).hexdigest()[:16]
    place.mkdir(parents=True, exist_ok=True)
    result = Compiled(build=build, folder=place)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not result.bundle.exists():
            if "=" in build.quant:  # here, so that no worker reads a file that another one writes
                Path(result.quant).write_text(build.quant)
            # Without stop tokens, so that a generation is as long as a test asks.
            make_checkpoint(
                result.model,
                build.shape,
                seed=build.seed,
                experts=build.experts,
                floats=build.floats,
                generation_config=False,
                tied=build.tied,
            )
            is_cpu = resolve_target(build.target).kind == backend.kind
            recipe = result.recipe(out=result.bundle)
            compile_model(recipe, backend=backend if is_cpu else None)
    return result


def token_by_token(session: Session, token_ids: list[int]) -> NDArray[np.float32]:
    """Decode from the current position on; returns the logits ``[n, vocab_size]``."""
    return np.stack([session.decode(token_id) for token_id in token_ids])


def require_a_way_to_run(target: str) -> None:
    """Skip where neither this machine nor an emulator can run a target."""
    host = resolve_target(target).host
    if host.arch == this_machine().arch:
        return
    try:
        find_emulator(host.emulator)
    except SessionError as error:
        pytest.skip(str(error))
