"""Experts' matrices as the kernels read them, packed one expert at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.backends.cpu import packing
from ossc.compiler.backends.cpu.packed import PackedMatrix
from ossc.compiler.checkpoint.views import read_rows
from ossc.compiler.lowering.weight_rows import Tensors, weight_name
from ossc.compiler.lowering.weights import Bytes, PackedWeight, as_bytes
from ossc.compiler.quantization.mixed_experts import TABLE, MixedExperts
from ossc.compiler.quantization.scheme import WeightType
from ossc.runtimes.manifest import ExpertsScheme, TensorScheme
from ossc.runtimes.plan import Role


@dataclass(frozen=True, kw_only=True)
class PackedExperts(PackedMatrix):
    """The experts' matrices, and where in their bytes each expert begins."""

    table: PackedWeight
    """int64 ``[E]``: bytes from the weight's own begin; of experts in several schemes ``[E, 2]``:
    the scheme's number, and these bytes."""

    table_shape: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class HeldExperts:
    """The experts of a node: in which scheme each is, and in which row of that scheme's parts."""

    name: str
    shape: tuple[int, int, int]
    """``[E, N, K]``"""

    schemes: tuple[str, ...]
    parts: tuple[Tensors, ...]
    """Of each scheme, ``[E_s, …]``."""

    places: tuple[tuple[int, int], ...]
    """Of each expert the number of its scheme, and its row in the scheme's parts."""

    @property
    def counts(self) -> tuple[int, ...]:
        """How many experts each scheme has."""
        numbers = [number for number, _ in self.places]
        return tuple(numbers.count(number) for number in range(len(self.schemes)))

    @property
    def tensor_scheme(self) -> TensorScheme:
        """What a manifest says of them."""
        if len(self.schemes) == 1:
            return self.schemes[0]
        of = [
            tuple(expert for expert, (each, _) in enumerate(self.places) if each == number)
            for number in range(len(self.schemes))
        ]
        return tuple(
            ExpertsScheme(experts=experts, scheme=scheme)
            for experts, scheme in zip(of, self.schemes, strict=True)
        )


def held_experts(weight: WeightType, parts: Tensors) -> HeldExperts:
    """Read how the experts of a node are held.

    Args:
        weight: One scheme, or several.
        parts: Of the weight; of several schemes the table of experts is read.
    """
    shape = weight.weight_shape(tuple(tuple(part.shape.numpy()) for part in parts))
    experts, rows, columns = shape
    if not isinstance(weight, MixedExperts):
        return HeldExperts(
            name=weight_name(parts),
            shape=(experts, rows, columns),
            schemes=(weight.name,),
            parts=(parts,),
            places=tuple((0, expert) for expert in range(experts)),
        )
    own, table = weight.split(parts)
    return HeldExperts(
        name=(table.name or "").removesuffix(f".{TABLE.name}"),
        shape=(experts, rows, columns),
        schemes=tuple(each.name for each in weight.formats),
        parts=tuple(own),
        places=tuple((number, row) for number, row in table.numpy().tolist()),
    )


def expert_weight(held: HeldExperts) -> PackedExperts:
    """Describe the experts' matrices ``[E, N, K]`` for ``expert_linear``."""
    _, rows, columns = held.shape
    return _experts(
        held, lambda scheme: packing.packed_bytes(scheme, rows, columns), packing.pack_rows
    )


def expert_glu_weight(held: HeldExperts) -> PackedExperts:
    """Describe the experts' gates and ups ``[E, 2·I, K]`` for ``expert_glu``."""
    _, rows, columns = held.shape
    return _experts(
        held, lambda scheme: packing.glu_bytes(scheme, rows // 2, columns), packing.pack_glu
    )


def _experts(
    held: HeldExperts,
    size_bytes: Callable[[str], int],
    pack: Callable[[str, list[NDArray[Any]]], Bytes],
) -> PackedExperts:
    sizes = [size_bytes(scheme) for scheme in held.schemes]
    strides = [packing.expert_stride(size) for size in sizes]

    def pieces() -> Iterator[Bytes]:
        for number, row in held.places:
            parts = [read_rows(part, row, row + 1)[0] for part in held.parts[number]]
            packed = pack(held.schemes[number], parts)
            yield np.pad(packed, (0, strides[number] - sizes[number]))

    numbers = [number for number, _ in held.places]
    ends = np.cumsum([strides[number] for number in numbers])
    offsets = [0, *ends[:-1].tolist()]
    entries = offsets if len(sizes) == 1 else list(zip(numbers, offsets, strict=True))
    return PackedExperts(
        name=held.name,
        shape=held.shape,
        scheme=held.tensor_scheme,
        size_bytes=int(ends[-1]),
        pieces=pieces,
        table=_table(f"{held.name}.table", np.array(entries, "<i8")),
        table_shape=(len(offsets),) if len(sizes) == 1 else (len(offsets), 2),
    )


def _table(name: str, values: NDArray[np.int64]) -> PackedWeight:
    return PackedWeight(
        name=name,
        size_bytes=values.nbytes,
        scheme="int64",
        pieces=lambda: iter([as_bytes(values)]),
        role=Role.EXPERT_OFFSETS,
    )
