"""Offsets of short-lived buffers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ossc.compiler.lowering.arena import Lifetime, align, assign_offsets

ALIGNMENT_BYTES = 64

lifetimes = st.builds(
    lambda size, first, length: Lifetime(
        size_bytes=size, first_step=first, last_step=first + length
    ),
    st.integers(1, 5000),
    st.integers(0, 20),
    st.integers(0, 8),
)


def life(size_bytes: int, first_step: int, last_step: int) -> Lifetime:
    return Lifetime(size_bytes=size_bytes, first_step=first_step, last_step=last_step)


@given(st.lists(lifetimes, max_size=30))
def test_buffers_that_live_together_share_no_byte(buffers):
    offsets, arena_bytes = assign_offsets(buffers, ALIGNMENT_BYTES)
    places = list(zip(buffers, offsets, strict=True))
    for i, (a, a_offset) in enumerate(places):
        assert a_offset % ALIGNMENT_BYTES == 0
        assert a_offset + a.size_bytes <= arena_bytes
        for b, b_offset in places[:i]:
            apart = a_offset + a.size_bytes <= b_offset or b_offset + b.size_bytes <= a_offset
            assert apart or not a.overlaps(b)


@given(st.lists(lifetimes, max_size=30))
def test_the_arena_is_no_larger_than_all_buffers_side_by_side(buffers):
    _, arena_bytes = assign_offsets(buffers, ALIGNMENT_BYTES)
    assert arena_bytes <= sum(align(buffer.size_bytes, ALIGNMENT_BYTES) for buffer in buffers)


def test_a_chain_needs_two_buffers_however_long_it_is():
    chain = [life(1024, step, step + 1) for step in range(50)]
    assert assign_offsets(chain, ALIGNMENT_BYTES)[1] == 2 * 1024


def test_a_buffer_goes_into_the_gap_that_a_dead_one_left():
    buffers = [life(4096, 0, 1), life(4096, 0, 3), life(2048, 2, 3)]
    offsets, arena_bytes = assign_offsets(buffers, ALIGNMENT_BYTES)
    assert arena_bytes == 2 * 4096
    assert offsets[2] < 2 * 4096


@pytest.mark.parametrize("alignment", [64, 512])
def test_buffers_begin_at_multiples_of_the_targets_alignment(alignment):
    buffers = [life(size, 0, 1) for size in (1, 65, 513)]
    offsets, arena_bytes = assign_offsets(buffers, alignment)
    assert [offset % alignment for offset in (*offsets, arena_bytes)] == [0] * 4


@pytest.mark.parametrize(
    ("first", "second", "overlap"),
    [
        pytest.param((0, 1), (1, 2), True, id="one-reads-what-the-other-writes"),
        pytest.param((0, 1), (2, 3), False, id="one-after-the-other"),
        pytest.param((0, 9), (4, 5), True, id="inside"),
    ],
)
def test_lives_overlap_when_a_step_needs_both(first, second, overlap):
    assert life(1, *first).overlaps(life(1, *second)) is overlap
    assert life(1, *second).overlaps(life(1, *first)) is overlap
