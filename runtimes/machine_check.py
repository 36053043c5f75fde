"""Whether this machine can run a bundle's code; asked before any of it is loaded."""

from ossc.runtimes.manifest import BrowserEntry, TargetEntry
from ossc.targets.errors import SessionError
from ossc.targets.machine import Machine


def check_program(target: TargetEntry) -> None:
    """Refuse a bundle that has no program for any machine.

    Raises:
        SessionError: A browser runs it.
    """
    if isinstance(target.device, BrowserEntry):
        raise SessionError(
            f"The bundle is for {target.name}, which runs in a browser: serve its folder (python "
            "-m http.server --directory BUNDLE) and open http://localhost:8000, or compile the "
            "model with --target cpu."
        )


def check_machine(target: TargetEntry, machine: Machine) -> None:
    """Refuse a machine that the bundle was not compiled for.

    Raises:
        SessionError: It has another architecture, lacks CPU features, or is no machine but a
            browser.
    """
    check_program(target)
    if target.host.arch != machine.arch:
        raise SessionError(
            f"The bundle is for {target.name} on {target.host.arch} and this machine is "
            f"{machine.arch}; compile the model with --target cpu, or run it emulated with "
            "ossc run."
        )
    missing = sorted(set(target.host.cpu_features) - machine.cpu_features)
    if missing:
        raise SessionError(
            f"The bundle is for {target.name} and this CPU lacks {', '.join(missing)}; compile the "
            "model with --target cpu, which chooses what this machine can run."
        )
