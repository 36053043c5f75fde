"""Where a bundle is measured: here, or under an emulator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ossc.runtimes.bundle import EXECUTABLE_NAME, Bundle
from ossc.runtimes.emulation import find_emulator
from ossc.runtimes.machine_check import check_machine
from ossc.runtimes.profile.runner import Runner
from ossc.runtimes.session import WeightsMode
from ossc.targets.errors import BundleError, SessionError, UsageError
from ossc.targets.machine import this_machine


class Place(Protocol):
    """A machine that can run bundles."""

    @property
    def name(self) -> str:
        """As the user gives it."""

    @property
    def emulated(self) -> bool:
        """Whether its times say nothing of any device."""

    def start(
        self, bundle: Bundle, threads: int | None = None, weights: WeightsMode = "mapped"
    ) -> Runner:
        """Open a bundle there.

        Args:
            bundle: Checked.
            threads: That compute; None is one for each CPU.
            weights: How the weights are held in memory.

        Raises:
            BundleError: The bundle has no executable.
            SessionError: The place cannot be reached or cannot run the bundle.
        """


def measure_arguments(directory: str, threads: int | None, weights: WeightsMode) -> list[str]:
    """The arguments of ``ossc-run`` in a bundle's directory."""
    return [directory, "--measure", "--threads", str(threads or 0), "--weights", weights]


def check_executable(bundle: Bundle) -> None:
    """Refuse a bundle that only Python can run.

    Raises:
        BundleError: It has no executable.
    """
    if EXECUTABLE_NAME not in bundle.manifest.files:
        raise BundleError(f"{bundle.path} has no {EXECUTABLE_NAME}; compile the model again.")


def _start(
    before: Sequence[str], bundle: Bundle, threads: int | None, weights: WeightsMode
) -> Runner:
    check_executable(bundle)
    executable = str(bundle.path.resolve() / EXECUTABLE_NAME)
    arguments = measure_arguments(str(bundle.path.resolve()), threads, weights)
    return Runner([*before, executable, *arguments], bundle.plan)


@dataclass(frozen=True)
class LocalPlace:
    """This machine."""

    name: str = "local"
    emulated: bool = False

    def start(
        self, bundle: Bundle, threads: int | None = None, weights: WeightsMode = "mapped"
    ) -> Runner:
        """See `Place.start`."""
        check_machine(bundle.manifest.target, this_machine())
        return _start([], bundle, threads, weights)


@dataclass(frozen=True)
class EmulatedPlace:
    """A CPU of another architecture, as qemu-user pretends it."""

    arch: str
    emulated: bool = True

    @property
    def name(self) -> str:
        """As the user gives it."""
        return f"qemu:{self.arch}"

    def start(
        self, bundle: Bundle, threads: int | None = None, weights: WeightsMode = "mapped"
    ) -> Runner:
        """See `Place.start`."""
        if bundle.manifest.target.arch != self.arch:
            raise SessionError(
                f"The bundle is for {bundle.manifest.target.arch} and {self.name} runs others; "
                f"compile the model for such a target, or measure on "
                f"qemu:{bundle.manifest.target.arch}."
            )
        return _start([find_emulator(self.arch), "-cpu", "max"], bundle, threads, weights)


LOCAL = LocalPlace()


def find_place(where: str) -> Place:
    """Return the place with a name: ``local``, or ``qemu:ARCH``.

    Raises:
        UsageError: There is no such place.
    """
    if where == LOCAL.name:
        return LOCAL
    kind, _, rest = where.partition(":")
    if kind == "qemu" and rest.replace("_", "").isalnum():
        return EmulatedPlace(rest)
    raise UsageError(
        f"{where!r} is no place to measure; give local, ssh://[user@]host[:port] or qemu:ARCH."
    )
