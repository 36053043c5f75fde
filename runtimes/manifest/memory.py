"""What a bundle takes to run, as its manifest says it."""

from collections.abc import Mapping
from dataclasses import dataclass

from ossc.runtimes.kv_type import KV_TYPES, KvType
from ossc.runtimes.strict_json import StrictObject
from ossc.targets.errors import BundleError


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


def read_memory(fields: StrictObject) -> MemoryEntry:
    """Read ``memory``.

    Raises:
        BundleError: It is not valid.
    """
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
