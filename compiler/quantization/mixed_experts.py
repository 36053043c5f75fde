"""Experts of one tensor in several schemes: for each the experts that are in it, and a table.

A weight ``[E, N, K]`` is held in the parts of every scheme, for its own experts ``[E_s, …]``, and
``expert_table`` int32 ``[E, 2]``: of each expert the number of its scheme in the type's order, and
its row in that scheme's parts.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.quantization import all_schemes
from ossc.compiler.quantization.scheme import Part, WeightFormat, WeightType
from ossc.runtimes.kernel_cost import JOINT

T = TypeVar("T")

TABLE = Part(name="expert_table", type_name="int32")


@dataclass(frozen=True, kw_only=True)
class MixedExperts(WeightType):
    """Several formats, each for some of the experts."""

    formats: tuple[WeightFormat, ...]
    """Those of the fewest bits first."""

    def split(self, parts: Sequence[T]) -> tuple[list[Sequence[T]], T]:
        """Return the parts of each format, and the table."""
        ends = np.cumsum([len(each.parts) for each in self.formats]).tolist()
        begins = [0, *ends]
        return [parts[a:b] for a, b in zip(begins, ends, strict=False)], parts[-1]


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return formats' names, each once, as a type has them: the schemes of the fewest bits first.

    A form of storage that is no scheme comes after all that are.
    """
    order = {scheme.name: number for number, scheme in enumerate(all_schemes())}
    return tuple(sorted(set(names), key=lambda name: (order.get(name, len(order)), name)))


def make_table(schemes: Sequence[str]) -> NDArray[np.int32]:
    """Return ``expert_table`` ``[E, 2]`` of the scheme of each expert."""
    order = in_order(schemes)
    rows = [schemes[:expert].count(scheme) for expert, scheme in enumerate(schemes)]
    numbers = [order.index(scheme) for scheme in schemes]
    return np.stack([numbers, rows], axis=1).astype(np.int32)


def part_name(weight: WeightFormat, part: Part) -> str:
    """Return what a mixed type calls a part of one of its formats: ``int4_g32_codes``."""
    return f"{weight.name.replace('-', '_')}_{part.name}"


def mixed_experts(formats: tuple[WeightFormat, ...]) -> MixedExperts:
    """Return the type of experts in these formats, which are in their order."""
    return MixedExperts(
        name=JOINT.join(each.name for each in formats),
        formats=formats,
        parts=(*_parts(formats), TABLE),
        weight_shape=lambda shapes: _weight_shape(formats, shapes),
    )


def _parts(formats: Iterable[WeightFormat]) -> Iterator[Part]:
    for each in formats:
        yield from (replace(part, name=part_name(each, part)) for part in each.parts)


def _weight_shape(
    formats: tuple[WeightFormat, ...], shapes: tuple[tuple[int, ...], ...]
) -> tuple[int, ...]:
    """Return ``[E, N, K]``; the table, whose shape is the last one, has a row for each expert."""
    first = formats[0]
    _, rows, columns = first.weight_shape(shapes[: len(first.parts)])
    return shapes[-1][0], rows, columns
