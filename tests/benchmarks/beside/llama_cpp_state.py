"""A long context for llama.cpp that nobody had to compute: the cells of a short one, over and over.

``llama_state_seq_get_data`` saves a sequence's KV caches; a cell is one position. Here the cells of
a saved sequence are repeated until there are as many as wanted, at positions of their own. So the
caches hold true keys and values, and attention costs what it costs at that depth.

Layout (llama.cpp, ``llama_kv_cache::state_write``): magic and sequence; then each cache, that of
the full layers first: streams, cells, (position, sequences, sequence) of each cell, whether values
are transposed, layers, and the keys and then the values of each layer.
"""

import struct
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

HEADER_BYTES = 8
"""Magic and sequence."""


class StateReader:
    """Reads a saved state from its start on."""

    def __init__(self, state: bytes) -> None:
        """Begin at the first byte."""
        self._state = state
        self._offset = 0

    def take(self, size_bytes: int) -> bytes:
        """Return the next bytes.

        Raises:
            ValueError: There are not so many; llama.cpp has changed the layout.
        """
        piece = self._state[self._offset : self._offset + size_bytes]
        if len(piece) < size_bytes:
            raise ValueError("The saved state ends too early; its layout is another one.")
        self._offset += size_bytes
        return piece

    def integers(self, layout: str) -> tuple[int, ...]:
        """Return little-endian integers; ``layout`` is that of :mod:`struct`."""
        return struct.unpack(f"<{layout}", self.take(struct.calcsize(f"<{layout}")))

    @property
    def at_end(self) -> bool:
        """Whether all is read."""
        return self._offset == len(self._state)


def lengthen_state(state: bytes, length: int, window: int) -> bytes:
    """Repeat a sequence's cells until it is ``length`` positions long.

    Args:
        state: As ``llama_state_seq_get_data`` gives it, of a sequence of at least one position.
        length: Positions of the new sequence.
        window: Positions that a sliding layer keeps.

    Raises:
        ValueError: The layout is not the one above.
    """
    reader = StateReader(state)
    pieces = [reader.take(HEADER_BYTES)]
    for positions in (range(length), range(max(0, length - window), length)):
        pieces += _lengthen_cache(reader, positions)
    if not reader.at_end:
        raise ValueError("The saved state has more than two caches; its layout is another one.")
    return b"".join(pieces)


def _lengthen_cache(reader: StateReader, positions: Sequence[int]) -> list[bytes]:
    streams, cells = reader.integers("II")
    if streams != 1 or not cells:
        raise ValueError(f"The saved state has {streams} streams, {cells} cells; not one sequence.")
    reader.take(cells * 12)
    new_cells = np.ones((len(positions), 3), np.int32)
    new_cells[:, 0], new_cells[:, 2] = positions, 0
    transposed, layers = reader.integers("II")
    counts = struct.pack("<II", streams, len(positions))
    pieces = [counts, new_cells.tobytes(), struct.pack("<II", transposed, layers)]
    for _ in range(layers):
        pieces += _lengthen_rows(reader, cells, len(positions))
    for _ in range(layers):
        lengthen = _lengthen_columns if transposed else _lengthen_rows
        pieces += lengthen(reader, cells, len(positions))
    return pieces


def _lengthen_rows(reader: StateReader, cells: int, count: int) -> list[bytes]:
    """Keys, and values as they are with flash attention: one row for each cell."""
    type_, row_bytes = reader.integers("iQ")
    rows = np.frombuffer(reader.take(cells * row_bytes), np.uint8).reshape(cells, row_bytes)
    return [struct.pack("<iQ", type_, row_bytes), _repeat(rows, count).tobytes()]


def _lengthen_columns(reader: StateReader, cells: int, count: int) -> list[bytes]:
    """Transposed values: one column for each cell."""
    type_, value_bytes, n_rows = reader.integers("iII")
    values = np.frombuffer(reader.take(n_rows * cells * value_bytes), np.uint8)
    columns = values.reshape(n_rows, cells, value_bytes).swapaxes(0, 1)
    repeated = _repeat(columns, count).swapaxes(0, 1)
    return [struct.pack("<iII", type_, value_bytes, n_rows), repeated.tobytes()]


def _repeat(cells: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Return ``count`` cells: the given ones from the first on, over and over."""
    return cells[np.arange(count) % len(cells)]
