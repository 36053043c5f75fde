"""The manifest of a bundle, ``manifest.json``: what the bundle is, and the hash of every file.

``manifest.sha256`` beside it holds the hash of the manifest's own bytes. The compiler writes
bundles with this module; ``docs/bundle-format.md`` specifies the format.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from ossc.runtimes.kernel_cost import KernelCost
from ossc.runtimes.kv_type import KV_TYPES, PLAN_NAMES, KvType
from ossc.runtimes.strict_json import StrictObject, parse_object
from ossc.runtimes.system_advice import read_advice
from ossc.targets.errors import BundleError

FORMAT_VERSION = 2
"""Version of the bundle directory; a reader reads exactly one."""

MANIFEST_NAME = "manifest.json"
DIGEST_NAME = "manifest.sha256"
WEIGHTS_NAME = "weights.bin"

MAX_MANIFEST_BYTES = 4 * 2**20
_HASH_BLOCK_BYTES = 2**20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file of the bundle."""

    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The entry of a file with this content."""
        return cls(size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


@dataclass(frozen=True, kw_only=True)
class TargetEntry:
    """The machine that the bundle was compiled for."""

    name: str
    arch: str
    cpu_features: tuple[str, ...]

    instruction_sets: tuple[str, ...] = ()
    """For which hot kernels exist as well; the C runtime takes the first that the CPU has."""


@dataclass(frozen=True, kw_only=True)
class QuantizationEntry:
    """How the weights are stored and multiplied."""

    preset: str
    activations: str
    schemes: Mapping[str, str]
    """Tensor class to scheme."""
    tensors: Mapping[str, str]
    """Tensor name to scheme."""


@dataclass(frozen=True, kw_only=True)
class SessionMemory:
    """What a session takes with one type of KV cache, in bytes."""

    state_bytes: int
    """KV caches, inputs and outputs; anonymous."""
    arena_bytes: int
    """Scratch; anonymous."""
    kv_bytes: int
    """The part of the state that is KV caches, at the full context."""
    kv_bytes_per_token: int
    """What one more position of context adds."""


@dataclass(frozen=True, kw_only=True)
class MemoryEntry:
    """What the weights and a session take."""

    weights_bytes: int
    """Mapped from the file, or anonymous with resident weights."""
    default_kv: KvType
    """The type of the KV caches where none is asked for."""
    kv: Mapping[KvType, SessionMemory]
    """Every type that the bundle has a plan for."""

    @property
    def default(self) -> SessionMemory:
        """What a session takes where no type is asked for."""
        return self.kv[self.default_kv]


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of ``manifest.json``."""

    format_version: int = FORMAT_VERSION
    ossc_version: str
    plan_abi_version: int
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
        memory = _memory(fields.object("memory"))
        manifest = cls(
            format_version=version,
            ossc_version=fields.text("ossc_version"),
            plan_abi_version=fields.integer("plan_abi_version"),
            model=fields.mapping("model"),
            target=_target(fields.object("target")),
            quantization=_quantization(fields.object("quantization")),
            context=fields.integer("context", least=1),
            prefill_chunk=fields.integer("prefill_chunk", least=1),
            stop_token_ids=fields.integers("stop_token_ids"),
            memory=memory,
            kernels=_kernels(fields.object("kernels")),
            files=_files(fields.object("files"), memory),
        )
        fields.finish()
        return manifest


def _target(fields: StrictObject) -> TargetEntry:
    entry = TargetEntry(
        name=fields.text("name"),
        arch=fields.text("arch"),
        cpu_features=fields.texts("cpu_features"),
        instruction_sets=fields.texts("instruction_sets"),
    )
    fields.finish()
    return entry


def _quantization(fields: StrictObject) -> QuantizationEntry:
    entry = QuantizationEntry(
        preset=fields.text("preset"),
        activations=fields.text("activations"),
        schemes=fields.object("schemes").all_texts(),
        tensors=fields.object("tensors").all_texts(),
    )
    fields.finish()
    return entry


def _memory(fields: StrictObject) -> MemoryEntry:
    entry = MemoryEntry(
        weights_bytes=fields.integer("weights_bytes"),
        default_kv=_kv_type(fields.text("default_kv")),
        kv=_sessions(fields.object("kv")),
    )
    fields.finish()
    if entry.default_kv not in entry.kv:
        raise BundleError(
            f"The manifest's default_kv is {entry.default_kv}, whose memory it does not say; "
            "compile the model again."
        )
    return entry


def _kv_type(name: str) -> KvType:
    for known in KV_TYPES:
        if name == known:
            return known
    raise BundleError(
        f"The manifest has KV caches of type {name[:40]!r}, which is none of "
        f"{', '.join(KV_TYPES)}; compile the model again."
    )


def _sessions(fields: StrictObject) -> dict[KvType, SessionMemory]:
    sessions = {_kv_type(name): _session(fields.object(name)) for name in fields.names()}
    fields.finish()
    return sessions


def _session(fields: StrictObject) -> SessionMemory:
    entry = SessionMemory(
        state_bytes=fields.integer("state_bytes"),
        arena_bytes=fields.integer("arena_bytes"),
        kv_bytes=fields.integer("kv_bytes"),
        kv_bytes_per_token=fields.integer("kv_bytes_per_token"),
    )
    fields.finish()
    return entry


def _kernels(fields: StrictObject) -> dict[str, KernelCost]:
    return {symbol: KernelCost.read(fields.object(symbol)) for symbol in fields.names()}


def _files(fields: StrictObject, memory: MemoryEntry) -> dict[str, FileEntry]:
    files = {name: _file(name, fields.object(name)) for name in fields.names()}
    fields.finish()
    for required in (*(PLAN_NAMES[kv] for kv in memory.kv), WEIGHTS_NAME):
        if required not in files:
            raise BundleError(f"The manifest does not list {required}; compile the model again.")
    return files


def _file(name: str, fields: StrictObject) -> FileEntry:
    if not _FILE_NAME.fullmatch(name) or name in (MANIFEST_NAME, DIGEST_NAME):
        raise BundleError(f"The manifest lists a file {name!r}, which no bundle has.")
    entry = FileEntry(size_bytes=fields.integer("size_bytes"), sha256=fields.text("sha256"))
    fields.finish()
    if not _DIGEST.fullmatch(entry.sha256):
        raise BundleError(f"The manifest's sha256 of {name} is not 64 lowercase hex digits.")
    return entry


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


def hash_file(path: Path, progress: Callable[[int], None] = lambda _: None) -> str:
    """SHA-256 of a file in hex.

    Args:
        path: The file.
        progress: Called with the number of bytes each time some were hashed.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK_BYTES):
            digest.update(block)
            progress(len(block))
    return digest.hexdigest()


def check_files(
    bundle: Path,
    *,
    hash_weights: bool,
    only_listed: bool,
    progress: Callable[[int], None] = lambda _: None,
) -> Manifest:
    """Compare a bundle's files with its manifest.

    Args:
        bundle: The directory.
        hash_weights: Whether to hash ``weights.bin`` too, which takes long; its size is always
            compared.
        only_listed: Whether another file in the directory is an error.
        progress: Called with the number of bytes each time some were hashed.

    Raises:
        BundleError: The manifest is not valid, or a file is missing, differs or is not listed.
    """
    manifest = Manifest.read(bundle)
    for name, entry in manifest.files.items():
        _check_size(bundle / name, entry)
    for name, entry in manifest.files.items():
        if name != WEIGHTS_NAME or hash_weights:
            _check_hash(bundle / name, entry, progress)
    if only_listed:
        _check_only_listed(bundle, manifest)
    return manifest


def _check_size(path: Path, entry: FileEntry) -> None:
    if not path.is_file():
        raise BundleError(f"{path} is missing; copy or compile the bundle again.")
    size = path.stat().st_size
    if size != entry.size_bytes:
        raise BundleError(
            f"{path} has {size} bytes and the manifest says {entry.size_bytes}; copy or compile "
            "the bundle again."
        )


def _check_hash(path: Path, entry: FileEntry, progress: Callable[[int], None]) -> None:
    try:
        digest = hash_file(path, progress)
    except OSError as error:
        advice = read_advice(error, "copy or compile the bundle again")
        raise BundleError(f"{path} cannot be read ({error.strerror}); {advice}.") from error
    if digest != entry.sha256:
        raise BundleError(
            f"{path} does not have the hash in the manifest: it is damaged or was changed; copy or "
            "compile the bundle again."
        )


def _check_only_listed(bundle: Path, manifest: Manifest) -> None:
    listed = {*manifest.files, MANIFEST_NAME, DIGEST_NAME}
    others = sorted(path.name for path in bundle.iterdir() if path.name not in listed)
    if others:
        raise BundleError(
            f"{bundle} holds files that its manifest does not list ({', '.join(others)}); remove "
            "them or compile the bundle again."
        )
