"""What a place is where bundles are measured, and what all of them need."""

from typing import Protocol

from ossc.runtimes.bundle import EXECUTABLE_NAME, Bundle
from ossc.runtimes.machine_check import check_program
from ossc.runtimes.profile.device.runner import Runner
from ossc.runtimes.weights_mode import WeightsMode
from ossc.targets.errors import BundleError


class Place(Protocol):
    """A machine that can run bundles."""

    @property
    def name(self) -> str:
        """As the user gives it."""

    @property
    def emulated(self) -> bool:
        """Whether its times say nothing of any device."""

    def start(
        self,
        bundle: Bundle,
        threads: int | None = None,
        weights: WeightsMode = "mapped",
        device: str | None = None,
    ) -> Runner:
        """Open a bundle there.

        Args:
            bundle: Checked.
            threads: That compute; None is one for each CPU.
            weights: How the weights are held in memory.
            device: ``KIND`` or ``KIND:WHICH``; None is the best there.

        Raises:
            BundleError: The bundle has no executable.
            SessionError: The place cannot be reached or cannot run the bundle.
        """


def measure_arguments(
    directory: str,
    bundle: Bundle,
    threads: int | None,
    weights: WeightsMode,
    device: str | None,
) -> list[str]:
    """The arguments of ``ossc-run`` for a bundle that lies in a directory."""
    how = ["--weights", weights, "--kv", bundle.kv]
    if threads is not None:
        how += ["--threads", str(threads)]
    if device is not None:
        how += ["--device", device]
    return [directory, "--measure", *how]


def check_executable(bundle: Bundle) -> None:
    """Refuse a bundle that only Python or a browser can run.

    Raises:
        BundleError: It has no executable.
        SessionError: A browser runs it.
    """
    check_program(bundle.manifest.target)
    if EXECUTABLE_NAME not in bundle.manifest.files:
        raise BundleError(f"{bundle.path} has no {EXECUTABLE_NAME}; compile the model again.")
