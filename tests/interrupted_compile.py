"""Compiles one checkpoint again and again in child processes, and ends each at another moment.

Run by tests/compiler/end_to_end/test_interruptions.py, in a process without threads, because it
forks. Every line that it prints describes what one child left: ``status state siblings``, where the
status is the child's exit status (negative: its signal), the state that of the bundle at the place,
and the siblings are the hidden folders beside it. A line that begins with ``Error:`` is an error's,
and ``case NAME`` comes before the lines of each case.

Usage: python interrupted_compile.py MODEL PLACE FINISHED OBJECTS CASES, where FINISHED is a bundle
of the model, whose binaries spare most children code generation and linking, OBJECTS the folder of
its kernels' objects, which spares others the code generation, and CASES the names of functions.
"""

import os
import random
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from ossc.compiler import atomic_folder, pipeline
from ossc.compiler.backends.cpu.backend import BACKEND, CpuBackend
from ossc.compiler.backends.cpu.objects import GenerateObject, generate_object
from ossc.compiler.cli.ending import ENDING_SIGNALS, die_of, interrupt_on_signals, signal_of
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.order import Order
from ossc.compiler.progress import Reporter
from ossc.compiler.recipe import Recipe
from ossc.runtimes.bundle import EXECUTABLE_NAME, LIBRARY_NAME, Bundle
from ossc.runtimes.manifest import Manifest
from ossc.targets.errors import BundleError, OsscError
from shared_objects import SharedObjects
from synthetic.tiny_bundle import write_bundle

MODEL, PLACE, FINISHED, OBJECTS = map(Path, sys.argv[1:5])
MANIFEST = Manifest.read(FINISHED)
RECIPE = Recipe(
    model=MODEL,
    target=MANIFEST.target.name,
    quant=MANIFEST.quantization.preset,
    context=MANIFEST.context,
    prefill_chunk=MANIFEST.prefill_chunk,
    instruction_sets=MANIFEST.target.host.instruction_sets,
    out=PLACE,
    force=True,
)
N_KILLS = 6

read_object = SharedObjects(OBJECTS)
"""Takes the place of `generate_object`."""


class AtPhase(Reporter):
    """Does something when a phase begins."""

    def __init__(self, name: str, action: Callable[[], None]) -> None:
        self._name, self._action = name, action

    def phase(self, name: str, _total_bytes: int | None = None) -> None:
        """Act, if it is the one."""
        if name.startswith(self._name):
            self._action()

    def advance(self, _detail: str, _size_bytes: int) -> None:
        """Count as an event."""
        sys.audit("test.advance")


def copy_binaries(
    _backend: object, _lowered: object, _target: object, folder: Path, _scratch: Path
) -> None:
    """Take the place of code generation and linking."""
    for name in (EXECUTABLE_NAME, LIBRARY_NAME):
        (folder / name).write_bytes((FINISHED / name).read_bytes())


def lower_before_forking() -> None:
    """Give the children the lowered model: no case ends one before there is something to remove."""
    source, order = SourceModel.open(MODEL), Order.of(RECIPE)
    model = pipeline.quantized_model(source, order.plan)
    lowered = BACKEND.lower(model, order.options(source.config))
    CpuBackend.lower = lambda *_: lowered


def compile_in_child(
    reporter: Reporter, *, link: bool, generate: GenerateObject = read_object
) -> int:
    """Compile over what is at the place, and print what is left; return the child's status."""
    child = os.fork()
    if not child:
        compile_and_exit(reporter, CpuBackend(generate=generate), link=link)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    siblings = sum(path.name.startswith(f".{PLACE.name}") for path in PLACE.parent.iterdir())
    print(status, state_of_place(), siblings, flush=True)
    return status


def compile_and_exit(reporter: Reporter, backend: CpuBackend, *, link: bool) -> NoReturn:
    """Compile, and end this process."""
    if not link:
        CpuBackend.emit = copy_binaries
    try:
        pipeline.compile_model(RECIPE, reporter, backend)
    except OsscError as error:
        print(f"Error: {error}", flush=True)
        os._exit(error.exit_code)
    except KeyboardInterrupt as error:
        die_of(signal_of(error) or signal.SIGKILL)
    os._exit(0)


def state_of_place() -> str:
    """Say which bundle is there: ``old``, ``new``, ``none`` or ``damaged``."""
    if not PLACE.exists():
        return "none"
    try:
        bundle = Bundle.open(PLACE, hash_weights=True, only_listed=True)
    except BundleError:
        return "damaged"
    return "new" if bundle.manifest == MANIFEST else "old"


def remove_bundle() -> None:
    """Leave nothing at the place."""
    if PLACE.exists():
        shutil.rmtree(PLACE)


def put_old_bundle() -> None:
    """Put another bundle at the place."""
    remove_bundle()
    write_bundle(PLACE)


def kill_at_event(event: int) -> Callable[[], None]:
    """Return a function from which on this process counts events, and dies at one."""

    def begin() -> None:
        remaining = [event]

        def count(_name: str, _arguments: object) -> None:
            remaining[0] -= 1
            if not remaining[0]:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(count)

    return begin


def kill_after(seconds: float) -> Callable[[], None]:
    """Return a function from which on this process has so many seconds to live."""
    return threading.Timer(seconds, lambda: os.kill(os.getpid(), signal.SIGKILL)).start


def kill_while_zig_runs() -> None:
    """From now on the first program that is started ends this process a little later."""

    def watch(name: str, _arguments: object) -> None:
        if name == "subprocess.Popen":
            kill_after(0.02)()

    sys.addaudithook(watch)


def killed_while_packing() -> None:
    """Events are openings, renamings and removals of files, and pieces of weights written."""
    rng, last, status = random.Random(0), 32, None
    while status != 0:  # until there are fewer events
        last *= 2
        put_old_bundle()
        status = compile_in_child(AtPhase("Packing", kill_at_event(last)), link=False)
    for event in sorted(rng.sample(range(1, last), N_KILLS)):
        put_old_bundle()
        compile_in_child(AtPhase("Packing", kill_at_event(event)), link=False)
    compile_in_child(AtPhase("never", print), link=False)


def killed_while_generating_code() -> None:
    """In LLVM, and while zig links; then undisturbed."""
    compile_in_child(AtPhase("Compiling", kill_after(0.5)), link=True, generate=generate_object)
    compile_in_child(AtPhase("Compiling", kill_while_zig_runs), link=True)
    compile_in_child(AtPhase("never", print), link=False)


def interrupt_self(number: signal.Signals) -> Callable[[], None]:
    """Return a function that sends this process a signal, as another one may."""

    def interrupt() -> None:
        interrupt_on_signals()
        os.kill(os.getpid(), number)

    return interrupt


def interrupt_removal() -> None:
    """The first removal of a folder is interrupted too, where the removal of others begins."""
    remove = atomic_folder.shutil.rmtree

    def interrupted(path: Path, *, ignore_errors: bool) -> None:
        atomic_folder.shutil.rmtree = remove
        interrupt_self(signal.SIGTERM)()
        remove(path, ignore_errors=ignore_errors)

    atomic_folder.shutil.rmtree = interrupted


def interrupt_twice() -> None:
    """The second time while what the first one interrupted is removed."""
    atomic_folder.shutil.rmtree = lambda *_, **__: os.kill(os.getpid(), signal.SIGINT)
    interrupt_self(signal.SIGINT)()


def ended_by_signals() -> None:
    """While packing by each signal, in a removal, twice; then undisturbed."""
    endings = [interrupt_self(number) for number in ENDING_SIGNALS]
    for end in (*endings, interrupt_removal, interrupt_twice):
        put_old_bundle()
        compile_in_child(AtPhase("Packing", end), link=False)
    compile_in_child(AtPhase("never", print), link=False)


def fill_disk() -> None:
    """Leave no byte on the disk of the place."""
    with (PLACE.parent / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            pass


def disk_filled() -> None:
    """While code is generated, and while weights are packed; then with room again."""
    for phase in ("Compiling", "Packing"):
        compile_in_child(AtPhase(phase, fill_disk), link=phase == "Compiling")
        (PLACE.parent / "filler").unlink()
    compile_in_child(AtPhase("never", print), link=False)


CASES = {
    case.__name__: case
    for case in (
        killed_while_packing,
        killed_while_generating_code,
        ended_by_signals,
        disk_filled,
    )
}

if __name__ == "__main__":
    lower_before_forking()
    for name in sys.argv[5:]:
        remove_bundle()
        print("case", name, flush=True)
        CASES[name]()
