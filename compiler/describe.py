"""The manifest of a new bundle: what was compiled, how, and what it takes to run."""

import dataclasses
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from ossc.compiler.bundle import file_entry
from ossc.compiler.families.model_config import ModelConfig
from ossc.compiler.lowering.lower import LoweredModel
from ossc.compiler.lowering.segment import LoweringOptions
from ossc.compiler.passes.quantize_weights import RoundedWeight
from ossc.compiler.quantization.plan import QuantizationPlan
from ossc.runtimes.bundle import EXECUTABLE_NAME, LIBRARY_NAME
from ossc.runtimes.kv_type import PLAN_NAMES
from ossc.runtimes.manifest import (
    BrowserEntry,
    CpuEntry,
    DeviceEntry,
    DriverEntry,
    FileEntry,
    FileRole,
    HostEntry,
    Manifest,
    MemoryEntry,
    QuantizationEntry,
    RuleEntry,
    SessionMemory,
    TargetEntry,
)
from ossc.runtimes.text_files import CONFIG_NAME as TOKENIZER_CONFIG_NAME
from ossc.runtimes.text_files import TEXT_FILES, TOKENIZER_NAME
from ossc.runtimes.version import __version__
from ossc.runtimes.web_page import web_page_files
from ossc.targets import Target

_ROLES: dict[str, FileRole] = {
    EXECUTABLE_NAME: "program",
    LIBRARY_NAME: "program",
    **dict.fromkeys(web_page_files(), "program"),
    **dict.fromkeys(PLAN_NAMES.values(), "plan"),
    **dict.fromkeys(TEXT_FILES, "text"),
    TOKENIZER_NAME: "tokenizer",
    TOKENIZER_CONFIG_NAME: "tokenizer",
}
"""What is not named here is code that a backend wrote."""


def describe_bundle(
    folder: Path,
    config: ModelConfig,
    plan: QuantizationPlan,
    classes: Collection[str],
    options: LoweringOptions,
    lowered: LoweredModel,
    weights: Mapping[str, FileEntry],
) -> Manifest:
    """Make the manifest of the files in a folder.

    Args:
        folder: The bundle under construction, complete but for its manifest.
        config: The model's.
        plan: Which scheme each weight got.
        classes: The tensor classes that the model has.
        options: What the model was lowered for.
        lowered: What came of it.
        weights: Entries of the files of weights, hashed while they were written.
    """
    names = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    files = {
        name: file_entry(folder / name, _ROLES.get(name, "code"))
        for name in names
        if name not in weights
    }
    return Manifest(
        ossc_version=__version__,
        plan_abi_version=lowered.plan.abi_version,
        model=model_fields(config),
        target=_target_entry(options.target),
        quantization=QuantizationEntry(
            preset=plan.name,
            activations=plan.activations,
            rules=tuple(
                RuleEntry(match=rule.match, experts=rule.experts, scheme=rule.scheme)
                for rule in plan.rules
                if rule.is_pattern or rule.match in classes
            ),
            tensors={name: weight.scheme for name, weight in lowered.weights.items()},
        ),
        context=options.context,
        prefill_chunk=options.prefill_chunk,
        stop_token_ids=config.eos_token_ids,
        memory=memory_entry(lowered),
        kernels=lowered.costs,
        files=files | dict(weights),
    )


def describe_rounding(rounded: Collection[RoundedWeight]) -> str:
    """Return a sentence about the weights whose stored values a float type cannot hold."""
    counts = Counter((weight.tensor_class, weight.scheme) for weight in rounded)
    parts = [
        f"{count} {tensor_class} {'matrix' if count == 1 else 'matrices'} (to {scheme})"
        for (tensor_class, scheme), count in sorted(counts.items())
    ]
    return (
        f"Values were rounded in {', '.join(parts)}; as-stored in a plan, or --quant none, keeps "
        "them."
    )


def model_fields(config: ModelConfig) -> dict[str, object]:
    """Return the configuration as JSON values, in Hugging Face's names."""
    fields = dataclasses.asdict(config)
    return {name: list(v) if isinstance(v, tuple) else v for name, v in fields.items()}


def memory_entry(lowered: LoweredModel) -> MemoryEntry:
    """Return what the weights and a session take."""
    return MemoryEntry(
        weights_bytes=lowered.plan.weights_bytes,
        default_kv=lowered.default_kv,
        kv={
            kv: SessionMemory(
                state_bytes=plan.state_bytes,
                arena_bytes=plan.arena_bytes,
                kv_bytes=lowered.kv_bytes[kv],
                kv_bytes_per_token=lowered.kv_bytes_per_token[kv],
            )
            for kv, plan in lowered.plans.items()
        },
    )


def _target_entry(target: Target) -> TargetEntry:
    return TargetEntry(
        name=target.name,
        kind=target.kind,
        host=HostEntry(
            arch=target.host.arch,
            cpu_features=target.host.cpu_features,
            instruction_sets=tuple(each.name for each in target.host.instruction_sets),
        ),
        device=_device_entry(target),
    )


def _device_entry(target: Target) -> DeviceEntry:
    if target.device.in_browser:
        return BrowserEntry()
    if target.device.loads_drivers:
        return DriverEntry(host_glibc=target.host.glibc)
    return CpuEntry()
