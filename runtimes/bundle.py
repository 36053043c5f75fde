"""A bundle on disk, checked and ready to be inspected or run."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ossc.runtimes.kv_type import PLAN_NAMES, KvType
from ossc.runtimes.manifest import Manifest, check_files
from ossc.runtimes.plan import DeviceKernel, Plan, Use
from ossc.targets.errors import BundleError

LIBRARY_NAME = "libossc_model.so"
"""Runtime and kernels as a shared library, which Python loads."""

EXECUTABLE_NAME = "ossc-run"
"""Runtime and kernels as a static executable, which needs nothing else."""


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The checked parts of a bundle."""

    path: Path
    manifest: Manifest
    kv: KvType
    """The type of the KV caches that ``plan`` is for."""
    plan: Plan

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        kv: KvType | None = None,
        hash_weights: bool = False,
        only_listed: bool = False,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Self:
        """Check and read a bundle.

        Args:
            path: Its directory.
            kv: The type of the KV caches; None is the bundle's default.
            hash_weights: Whether to hash the weights too, which takes long.
            only_listed: Whether another file in the directory is an error.
            progress: Called with the number of bytes each time some were hashed.

        Raises:
            BundleError: A file is missing, damaged or contradicts another, or the bundle has no
                plan for the type.
        """
        manifest = check_files(
            path, hash_weights=hash_weights, only_listed=only_listed, progress=progress
        )
        kv = kv or manifest.memory.default_kv
        return cls(path=path, manifest=manifest, kv=kv, plan=read_plan(path, manifest, kv))


def read_plan(path: Path, manifest: Manifest, kv: KvType) -> Plan:
    """Read the plan for a type of KV caches.

    Raises:
        BundleError: There is none, it is not valid, or it contradicts the manifest.
    """
    if kv not in manifest.memory.kv:
        known = ", ".join(manifest.memory.kv)
        raise BundleError(f"{path} has no plan for KV caches of type {kv}; it has {known}.")
    plan = Plan.from_bytes((path / PLAN_NAMES[kv]).read_bytes())
    check_agreement(manifest, plan, kv)
    return plan


def check_agreement(manifest: Manifest, plan: Plan, kv: KvType) -> None:
    """Refuse a manifest and a plan that are not of one bundle.

    Raises:
        BundleError: They contradict each other.
    """
    listed = {name: entry.size_bytes for name, entry in manifest.files_of("weights").items()}
    spaces = {space.file: space.size_bytes for space in plan.spaces if space.use == Use.WEIGHTS}
    code = {step.code for step in plan.steps if isinstance(step, DeviceKernel)}
    pairs = {
        "the device": (manifest.target.kind, plan.devices[0].kind),
        "plan_abi_version": (manifest.plan_abi_version, plan.abi_version),
        "context": (manifest.context, plan.context),
        "prefill_chunk": (manifest.prefill_chunk, plan.segment("prefill").max_tokens),
        "weights_bytes": (manifest.memory.weights_bytes, plan.weights_bytes),
        "state_bytes": (manifest.memory.kv[kv].state_bytes, plan.state_bytes),
        "arena_bytes": (manifest.memory.kv[kv].arena_bytes, plan.arena_bytes),
        "the files of weights": (sorted(listed), sorted(spaces)),
        "code of the plan": (sorted(code & set(manifest.files_of("code"))), sorted(code)),
        **{f"the size of {name}": (listed.get(name), size) for name, size in spaces.items()},
    }
    for what, (ours, theirs) in pairs.items():
        if ours != theirs:
            raise BundleError(
                f"The manifest says {ours} for {what} and the plan {theirs}; compile the model "
                "again."
            )
