"""A run as JSON, with every measurement, and what it adds to another run of the same models."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec

from benchmarks.beside.contest import Samples
from benchmarks.beside.limits import Dense
from benchmarks.beside.machine import Limits, median_limits
from benchmarks.beside.models import Shape


class RecordError(Exception):
    """A file is no record, or one of something else."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """What was measured of one pair of models on one machine."""

    machine: dict[str, str]
    peer: str
    shape: Shape
    dense: Dense
    commands: dict[str, list[str]]
    """By the side and its mode."""

    limits: list[Limits]
    """The medians of each number of threads."""

    ossc: Samples
    llama_cpp: Samples

    def add(self, other: Self) -> Self:
        """Return both records' rounds together, the other's after these.

        Raises:
            RecordError: The other is of another machine, peer or model.
        """
        for name in ("machine", "peer", "shape", "dense"):
            mine, others = getattr(self, name), getattr(other, name)
            if mine != others:
                raise RecordError(f"the {name} is {others}, and not {mine}")
        by_threads: dict[int, list[Limits]] = {}
        for limits in (*self.limits, *other.limits):
            by_threads.setdefault(limits.threads, []).append(limits)
        return dataclasses.replace(
            self,
            commands=self.commands | other.commands,
            limits=[median_limits(each) for each in by_threads.values()],
            ossc=_joined(self.ossc, other.ossc),
            llama_cpp=_joined(self.llama_cpp, other.llama_cpp),
        )

    def to_json(self, **more: Any) -> str:
        """Return the fields, and some that are only for the reader."""
        return json.dumps(dataclasses.asdict(self) | more, indent=1)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what `to_json` gave.

        Raises:
            RecordError: The file is no record.
            OSError: It cannot be read.
        """
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except msgspec.DecodeError as error:
            raise RecordError(f"{path} is no record of this benchmark: {error}") from error


def _joined(one: Samples, other: Samples) -> Samples:
    """Append rounds; a mode that one of them has not measured has rounds without samples there."""
    counts = [_rounds(samples) for samples in (one, other)]
    joined: Samples = {}
    for row in one | other:
        parts = [samples.get(row, {}) for samples in (one, other)]
        joined[row] = {
            mode: [
                samples
                for part, count in zip(parts, counts, strict=True)
                for samples in part.get(mode, [[]] * count)
            ]
            for mode in parts[0] | parts[1]
        }
    return joined


def _rounds(samples: Samples) -> int:
    return max((len(rounds) for modes in samples.values() for rounds in modes.values()), default=0)
