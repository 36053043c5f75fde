"""The machines that ossc compiles for: one file for each family of machines.

A file of this folder that has ``TARGETS`` adds them to the list.
"""

import functools
import importlib
import pkgutil

from ossc.targets.errors import TargetError, UnknownNameError
from ossc.targets.machine import Machine, this_machine
from ossc.targets.target import Target

__all__ = ["Target", "all_targets", "find_target", "resolve_target"]


@functools.cache
def all_targets() -> tuple[Target, ...]:
    """List every target: by file name, and the better ones of a file first."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return tuple(target for module in modules for target in getattr(module, "TARGETS", ()))


def find_target(name: str) -> Target:
    """Return the target of this name.

    Raises:
        UnknownNameError: There is none.
    """
    for target in all_targets():
        if target.name == name:
            return target
    raise UnknownNameError("target", name, ["cpu", *(target.name for target in all_targets())])


def resolve_target(name: str, machine: Machine | None = None) -> Target:
    """Return the target of this name, where ``cpu`` is the best one for a machine.

    Args:
        name: ``family[:device]``, or ``cpu``.
        machine: What ``cpu`` means; by default the machine that this process runs on.

    Raises:
        UnknownNameError: There is no such target.
        TargetError: The name is ``cpu`` and no target fits the machine.
    """
    if name != "cpu":
        return find_target(name)
    machine = machine or this_machine()
    for target in all_targets():
        fits = machine.cpu_features.issuperset(target.host.cpu_features)
        if target.kind == "cpu" and target.host.arch == machine.arch and fits:
            return target
    known = ", ".join(target.name for target in all_targets())
    raise TargetError(
        f"No target fits this machine's {machine.arch} CPU; "
        f"name the target to compile for another machine: {known}."
    )
