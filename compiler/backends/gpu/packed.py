"""Large weights as GPUs' kernels read them, packed a few rows or one expert at a time.

Rows lie in groups of 16. Of gates and ups, which alternate, a group of gates is followed by the
group of ups that meet them. A table for lookups lies as a matrix does, so that one that is also a
head's matrix is there once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ossc.compiler.backends.gpu.weights import find_format
from ossc.compiler.backends.gpu.weights.format import ROWS, WordFormat
from ossc.compiler.checkpoint.views import read_rows
from ossc.compiler.lowering.weight_rows import Tensors, pack_by_rows, weight_name, weight_shape
from ossc.compiler.lowering.weights import Bytes, PackedWeight, as_bytes
from ossc.compiler.quantization.scheme import QuantizationScheme

Parts = Sequence[NDArray[Any]]

SLICE_ROWS = 2 * ROWS
"""Rows are packed by multiples of it: a group of gates and the group of ups that meet them."""

WORD_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class WordMatrix(PackedWeight):
    """A weight as words that remembers what it was."""

    shape: tuple[int, ...]
    """Of the weight, ``[N, K]`` or ``[E, N, K]``."""

    @property
    def words(self) -> int:
        """Its length, uint32."""
        return self.size_bytes // WORD_BYTES


def matrix_weight(scheme: QuantizationScheme, parts: Tensors) -> WordMatrix:
    """Describe a matrix ``[N, K]`` for products and lookups."""
    shape = weight_shape(scheme, parts)
    words = matrix_words(scheme.name, *shape)
    return _weight(scheme, parts, words, lambda: _by_rows(scheme, parts, pack_matrix))


def glu_weight(scheme: QuantizationScheme, parts: Tensors) -> WordMatrix:
    """Describe gates and ups ``[2·I, K]``, which alternate, for products that gate."""
    shape = weight_shape(scheme, parts)
    words = glu_words(scheme.name, *shape)
    return _weight(scheme, parts, words, lambda: _by_rows(scheme, parts, pack_glu))


def expert_weight(scheme: QuantizationScheme, parts: Tensors) -> WordMatrix:
    """Describe the experts' matrices ``[E, N, K]``, one after the other."""
    experts, *shape = weight_shape(scheme, parts)
    words = experts * matrix_words(scheme.name, *shape)
    return _weight(scheme, parts, words, lambda: _by_experts(scheme, parts, pack_matrix))


def expert_glu_weight(scheme: QuantizationScheme, parts: Tensors) -> WordMatrix:
    """Describe the experts' gates and ups ``[E, 2·I, K]``, one expert after the other."""
    experts, *shape = weight_shape(scheme, parts)
    words = experts * glu_words(scheme.name, *shape)
    return _weight(scheme, parts, words, lambda: _by_experts(scheme, parts, pack_glu))


def matrix_words(scheme: str, rows: int, columns: int) -> int:
    """Return the length of a packed matrix."""
    return find_format(scheme).matrix_words(rows, columns)


def glu_words(scheme: str, rows: int, columns: int) -> int:
    """Return the length of packed gates and ups, ``rows`` together."""
    return 2 * matrix_words(scheme, rows // 2, columns)


Pack = Callable[[WordFormat, Parts, int], NDArray[np.uint32]]
"""The packed rows of a slice of K columns."""


def pack_matrix(weights: WordFormat, parts: Parts, columns: int) -> NDArray[np.uint32]:
    """Pack some rows of a matrix; see `WordFormat.pack`."""
    return weights.pack(parts, columns)


def pack_glu(weights: WordFormat, parts: Parts, columns: int) -> NDArray[np.uint32]:
    """Pack some gates and ups; the even rows are gates, and their number is even."""
    gates, ups = (weights.pack([part[first::2] for part in parts], columns) for first in (0, 1))
    group_words = ROWS * weights.row_words(columns)
    groups = [each.reshape(-1, group_words) for each in (gates, ups)]
    return np.stack(groups, axis=1).reshape(-1)


def _weight(
    scheme: QuantizationScheme, parts: Tensors, words: int, pieces: Callable[[], Iterator[Bytes]]
) -> WordMatrix:
    return WordMatrix(
        name=weight_name(parts),
        shape=weight_shape(scheme, parts),
        scheme=scheme.name,
        size_bytes=words * WORD_BYTES,
        pieces=pieces,
    )


def _by_rows(scheme: QuantizationScheme, parts: Tensors, pack: Pack) -> Iterator[Bytes]:
    columns = weight_shape(scheme, parts)[-1]
    weights = find_format(scheme.name)
    return pack_by_rows(
        parts, columns, SLICE_ROWS, lambda rows: as_bytes(pack(weights, rows, columns))
    )


def _by_experts(scheme: QuantizationScheme, parts: Tensors, pack: Pack) -> Iterator[Bytes]:
    experts, _, columns = weight_shape(scheme, parts)
    weights = find_format(scheme.name)
    for expert in range(experts):
        of_expert = [read_rows(part, expert, expert + 1)[0] for part in parts]
        yield as_bytes(pack(weights, of_expert, columns))
