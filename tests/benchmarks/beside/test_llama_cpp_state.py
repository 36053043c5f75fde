"""A short saved state becomes a long one."""

import struct

import numpy as np
import pytest

from benchmarks.beside.llama_cpp_state import StateReader, lengthen_state

HEADER = b"magicseq"
ROW_BYTES, N_ROWS, VALUE_BYTES = 6, 3, 2


def cache(cells: int, *, transposed: bool) -> bytes:
    """A cache of one layer whose key bytes are the cell's number, values the same plus 100."""
    meta = b"".join(struct.pack("<iIi", i, 1, 0) for i in range(cells))
    keys = np.repeat(np.arange(cells, dtype=np.uint8)[:, None], ROW_BYTES, 1)
    head = struct.pack("<II", 1, cells) + meta + struct.pack("<II", transposed, 1)
    parts = [head, struct.pack("<iQ", 1, ROW_BYTES), keys.tobytes()]
    if transposed:
        values = np.repeat(100 + np.arange(cells, dtype=np.uint8), VALUE_BYTES)
        parts += [struct.pack("<iII", 1, VALUE_BYTES, N_ROWS), values.tobytes() * N_ROWS]
    else:
        parts += [struct.pack("<iQ", 1, ROW_BYTES), (keys + 100).tobytes()]
    return b"".join(parts)


def read_cache(reader: StateReader, *, transposed: bool) -> tuple[list[int], list[int], list[int]]:
    """Positions, key bytes and value bytes of one cache."""
    _, cells = reader.integers("II")
    positions = [reader.integers("iIi")[0] for _ in range(cells)]
    assert reader.integers("II") == (transposed, 1)
    assert reader.integers("iQ") == (1, ROW_BYTES)
    keys = reader.take(cells * ROW_BYTES)[::ROW_BYTES]
    if transposed:
        assert reader.integers("iII") == (1, VALUE_BYTES, N_ROWS)
        rows = {reader.take(cells * VALUE_BYTES) for _ in range(N_ROWS)}
        assert len(rows) == 1
        return positions, list(keys), list(rows.pop()[::VALUE_BYTES])
    assert reader.integers("iQ") == (1, ROW_BYTES)
    return positions, list(keys), list(reader.take(cells * ROW_BYTES)[::ROW_BYTES])


@pytest.mark.parametrize("transposed", [False, True])
def test_cells_are_repeated_at_positions_of_their_own(transposed):
    state = HEADER + cache(3, transposed=transposed) * 2
    reader = StateReader(lengthen_state(state, 7, window=2))
    assert reader.take(8) == HEADER
    full = read_cache(reader, transposed=transposed)
    assert full == (list(range(7)), [0, 1, 2, 0, 1, 2, 0], [100, 101, 102, 100, 101, 102, 100])
    assert read_cache(reader, transposed=transposed) == ([5, 6], [0, 1], [100, 101])
    assert reader.at_end


def test_a_window_longer_than_the_sequence_keeps_all_of_it():
    state = HEADER + cache(3, transposed=False) * 2
    reader = StateReader(lengthen_state(state, 4, window=100))
    reader.take(8)
    assert read_cache(reader, transposed=False)[0] == [0, 1, 2, 3]
    assert read_cache(reader, transposed=False)[0] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "state",
    [
        pytest.param(HEADER + cache(3, transposed=False), id="one-cache"),
        pytest.param(HEADER + cache(3, transposed=False) * 3, id="three-caches"),
        pytest.param(HEADER + cache(0, transposed=False) * 2, id="empty"),
    ],
)
def test_another_layout_is_refused(state):
    with pytest.raises(ValueError, match="saved state"):
        lengthen_state(state, 7, window=2)
