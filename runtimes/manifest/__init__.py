"""The manifest of a bundle: what the bundle is, and every file of it (docs/bundle-format.md)."""

from ossc.runtimes.manifest.check_files import check_files, hash_file
from ossc.runtimes.manifest.files import (
    DIGEST_NAME,
    MANIFEST_NAME,
    WEIGHTS_NAME,
    FileEntry,
    FileRole,
)
from ossc.runtimes.manifest.manifest import FORMAT_VERSION, Manifest
from ossc.runtimes.manifest.memory import MemoryEntry, SessionMemory
from ossc.runtimes.manifest.quantization import (
    ExpertsScheme,
    QuantizationEntry,
    RuleEntry,
    TensorScheme,
    schemes_of,
)
from ossc.runtimes.manifest.target import (
    BrowserEntry,
    CpuEntry,
    DeviceEntry,
    DriverEntry,
    HostEntry,
    TargetEntry,
)

__all__ = [
    "DIGEST_NAME",
    "FORMAT_VERSION",
    "MANIFEST_NAME",
    "WEIGHTS_NAME",
    "BrowserEntry",
    "CpuEntry",
    "DeviceEntry",
    "DriverEntry",
    "ExpertsScheme",
    "FileEntry",
    "FileRole",
    "HostEntry",
    "Manifest",
    "MemoryEntry",
    "QuantizationEntry",
    "RuleEntry",
    "SessionMemory",
    "TargetEntry",
    "TensorScheme",
    "check_files",
    "hash_file",
    "schemes_of",
]
