"""The manifest of a bundle, ``manifest.json``: what the bundle is, and the hash of every file.

``manifest.sha256`` beside it holds the hash of the manifest's own bytes. The compiler writes
bundles with this module; ``docs/bundle-format.md`` specifies the format.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from ossc.runtimes.kernel_cost import KernelCost
from ossc.runtimes.kv_type import PLAN_NAMES
from ossc.runtimes.manifest.files import DIGEST_NAME, MANIFEST_NAME, FileEntry, FileRole, read_files
from ossc.runtimes.manifest.memory import MemoryEntry, read_memory
from ossc.runtimes.manifest.quantization import QuantizationEntry, read_quantization
from ossc.runtimes.manifest.target import TargetEntry, read_target
from ossc.runtimes.strict_json import StrictObject, parse_object
from ossc.runtimes.system_advice import read_advice
from ossc.targets.errors import BundleError

FORMAT_VERSION = 3
"""Version of the bundle directory; a reader reads exactly one."""

KNOWN_FEATURES: frozenset[str] = frozenset()
"""What a bundle may name that a reader has to know beyond the format."""

MAX_MANIFEST_BYTES = 4 * 2**20


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of ``manifest.json``."""

    format_version: int = FORMAT_VERSION
    ossc_version: str
    plan_abi_version: int
    features: tuple[str, ...] = ()
    """What a reader has to know beyond the format."""
    model: Mapping[str, Any]
    """Config fields in Hugging Face's names."""
    target: TargetEntry
    quantization: QuantizationEntry
    context: int
    """Positions that a session can hold."""
    prefill_chunk: int
    """Most tokens of a prompt that are computed at once."""
    stop_token_ids: tuple[int, ...]
    memory: MemoryEntry
    kernels: Mapping[str, KernelCost]
    """What one call of each kernel of the plan moves and computes, by symbol."""
    files: Mapping[str, FileEntry]
    """Every file but the manifest and its digest, by name."""

    def to_json(self) -> str:
        """The text of manifest.json; equal manifests give equal text."""
        return json.dumps(asdict(self), sort_keys=True, indent=1, allow_nan=False) + "\n"

    def write(self, bundle: Path) -> None:
        """Write ``manifest.json`` and ``manifest.sha256``; the last step of writing a bundle."""
        data = self.to_json().encode()
        (bundle / MANIFEST_NAME).write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        (bundle / DIGEST_NAME).write_bytes(digest.encode() + b"\n")

    def files_of(self, role: FileRole) -> dict[str, FileEntry]:
        """The files of a role, by name."""
        return {name: entry for name, entry in self.files.items() if entry.role == role}

    @classmethod
    def read(cls, bundle: Path) -> Self:
        """Read and check a bundle's manifest.

        Raises:
            BundleError: There is none, its hash is not that of ``manifest.sha256``, or it is not in
                the format that this version reads.
        """
        if not bundle.is_dir():
            raise BundleError(f"{bundle} is not a directory; give the directory of a bundle.")
        data = _read(bundle / MANIFEST_NAME, MAX_MANIFEST_BYTES)
        digest = _read(bundle / DIGEST_NAME, 65)
        if digest != hashlib.sha256(data).hexdigest().encode() + b"\n":
            raise BundleError(
                f"{bundle / MANIFEST_NAME} does not have the hash in {DIGEST_NAME}: the bundle is "
                "damaged; copy or compile it again."
            )
        return cls.from_json(data)

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Read the bytes of manifest.json.

        Raises:
            BundleError: They are not a manifest that this version reads.
        """
        fields = parse_object(data, MANIFEST_NAME)
        version = fields.integer("format_version")
        if version != FORMAT_VERSION:
            raise BundleError(
                f"The bundle has format version {version} and this ossc reads {FORMAT_VERSION}; "
                "use the ossc that wrote it, or compile the model again."
            )
        manifest = cls(
            format_version=version,
            ossc_version=fields.text("ossc_version"),
            plan_abi_version=fields.integer("plan_abi_version"),
            features=_features(fields),
            model=fields.mapping("model"),
            target=read_target(fields.object("target")),
            quantization=read_quantization(fields.object("quantization")),
            context=fields.integer("context", least=1),
            prefill_chunk=fields.integer("prefill_chunk", least=1),
            stop_token_ids=fields.integers("stop_token_ids"),
            memory=read_memory(fields.object("memory")),
            kernels=_kernels(fields.object("kernels")),
            files=read_files(fields.object("files")),
        )
        fields.finish()
        manifest._check_plans()
        return manifest

    def _check_plans(self) -> None:
        plans = self.files_of("plan")
        for name in (PLAN_NAMES[kv] for kv in self.memory.kv):
            if name not in plans:
                raise BundleError(
                    f"The manifest does not list {name} as a plan; compile the model again."
                )


def _features(fields: StrictObject) -> tuple[str, ...]:
    features = fields.texts("features")
    for name in features:
        if name not in KNOWN_FEATURES:
            raise BundleError(
                f"The bundle needs {name[:40]!r}, which this ossc does not know; use the ossc that "
                "wrote it, or compile the model again."
            )
    return features


def _kernels(fields: StrictObject) -> dict[str, KernelCost]:
    return {symbol: KernelCost.read(fields.object(symbol)) for symbol in fields.names()}


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        if path.exists() and not path.is_file():  # reading a pipe would wait for a writer
            raise BundleError(f"{path} is not a file; give the directory of a complete bundle.")
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
    except OSError as error:
        advice = read_advice(error, "give the directory of a complete bundle")
        raise BundleError(f"{path} cannot be read ({error.strerror}); {advice}.") from error
    if len(data) > max_bytes:
        raise BundleError(f"{path} is larger than {max_bytes} bytes: this is not a bundle.")
    return data
