"""What a model family has to say about itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # export imports the families
    from ossc.compiler.checkpoint.reader import Checkpoint
    from ossc.compiler.dialect.builder import GraphBuilder


@dataclass(frozen=True, kw_only=True)
class Family:
    """How checkpoints of one ``model_type`` are checked and written as a graph."""

    model_type: str
    """As in config.json; the file is named so."""
    summary: str
    check: Callable[[Checkpoint], None]
    """Raises ConfigError or CheckpointError where the checkpoint is not what it should be."""
    notes: Callable[[Checkpoint], Iterable[str]]
    """Sentences on what a checked checkpoint leaves to be understood; see `notes`."""
    build: Callable[[GraphBuilder], None]
    """Writes the whole graph; the checkpoint was checked before."""
