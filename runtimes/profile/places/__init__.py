"""Where a bundle is measured: here, under an emulator, or on a machine that SSH reaches."""

from collections.abc import Sequence
from dataclasses import dataclass

from ossc.runtimes.bundle import EXECUTABLE_NAME, Bundle
from ossc.runtimes.emulation import emulator_command
from ossc.runtimes.machine_check import check_machine, check_program
from ossc.runtimes.profile.device.runner import Runner
from ossc.runtimes.profile.places.place import Place, check_executable, measure_arguments
from ossc.runtimes.profile.places.ssh_place import SshPlace
from ossc.runtimes.weights_mode import WeightsMode
from ossc.targets.errors import SessionError, UsageError
from ossc.targets.machine import this_machine

__all__ = ["LOCAL", "EmulatedPlace", "LocalPlace", "Place", "find_place"]


def _start(
    before: Sequence[str],
    bundle: Bundle,
    threads: int | None,
    weights: WeightsMode,
    device: str | None,
) -> Runner:
    check_executable(bundle)
    executable = str(bundle.path.resolve() / EXECUTABLE_NAME)
    arguments = measure_arguments(str(bundle.path.resolve()), bundle, threads, weights, device)
    return Runner([*before, executable, *arguments], bundle.plan)


@dataclass(frozen=True)
class LocalPlace:
    """This machine."""

    name: str = "local"
    emulated: bool = False

    def start(
        self,
        bundle: Bundle,
        threads: int | None = None,
        weights: WeightsMode = "mapped",
        device: str | None = None,
    ) -> Runner:
        """See `Place.start`."""
        check_machine(bundle.manifest.target, this_machine())
        return _start([], bundle, threads, weights, device)


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
        self,
        bundle: Bundle,
        threads: int | None = None,
        weights: WeightsMode = "mapped",
        device: str | None = None,
    ) -> Runner:
        """See `Place.start`."""
        check_program(bundle.manifest.target)
        if bundle.manifest.target.host.arch != self.arch:
            raise SessionError(
                f"The bundle is for {bundle.manifest.target.host.arch} and {self.name} runs "
                "others; compile the model for such a target, or measure on "
                f"qemu:{bundle.manifest.target.host.arch}."
            )
        command = emulator_command(bundle.manifest.target)
        return _start(command, bundle, threads, weights, device)


LOCAL = LocalPlace()


def find_place(where: str) -> Place:
    """Return the place that ``ossc profile --on`` names.

    Args:
        where: ``local``, ``ssh://[user@]host[:port][/folder]`` or ``qemu:ARCH``.

    Raises:
        UsageError: There is no such place.
    """
    if where == LOCAL.name:
        return LOCAL
    kind, _, rest = where.partition(":")
    if kind == "ssh":
        return SshPlace.parse(where)
    if kind == "qemu" and rest.replace("_", "").isalnum():
        return EmulatedPlace(rest)
    raise UsageError(
        f"{where!r} is no place to measure; give local, "
        "ssh://[user@]host[:port][/folder] or qemu:ARCH."
    )
