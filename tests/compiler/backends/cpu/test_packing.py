"""The bytes of packed weights, and what the slices of a matrix add up to."""

import numpy as np
import pytest

from kernel_operands import random_parts
from ossc.compiler.backends.cpu.packing import (
    expert_stride,
    glu_bytes,
    pack_glu,
    pack_rows,
    packed_bytes,
)
from ossc.targets.errors import LoweringError

SCHEMES = ["bf16", "f16", "f32", "int4-g32", "int8-g32", "mxfp4"]


def columns_of(scheme):
    """Return a number of columns, as odd as the scheme allows."""
    return {"mxfp4": 96, "int4-g32": 78}.get(scheme, 77)


def test_mxfp4_codes_are_interleaved_by_row_and_each_block_ends_with_halved_scales():
    # rows 0 … 7 of two blocks; element c of row r is the code (r + 3 · c) % 16
    codes = (np.arange(8)[:, None] + 3 * np.arange(64)) % 16
    blocks = (codes[:, ::2] | codes[:, 1::2] << 4).astype(np.uint8).reshape(8, 2, 16)
    scales = np.arange(112, 128, dtype=np.uint8).reshape(2, 8).T
    packed = pack_rows("mxfp4", [blocks, scales]).reshape(2, 128 + 8)
    vectors = packed[:, :128].reshape(2, 4, 8, 4)  # block, vector, row, byte
    for block, vector, row, byte in np.ndindex(vectors.shape):
        low, high = (codes[row, 32 * block + 8 * vector + byte + more] for more in (0, 4))
        assert vectors[block, vector, row, byte] == low | high << 4
    assert packed[:, 128:].reshape(-1).tolist() == list(range(111, 127))


def scales_behind(blocks, codes_bytes):
    """The 16-bit scales of 8 rows ``[n_blocks, 8]``, behind the codes of each block."""
    return np.ascontiguousarray(blocks[:, codes_bytes:]).view(np.uint16)


def test_int4_codes_are_interleaved_by_row_and_each_block_ends_with_scales():
    parts = random_parts("int4-g32", (8, 40))
    packed = pack_rows("int4-g32", parts).reshape(2, 128 + 16)
    vectors = packed[:, :128].reshape(2, 4, 8, 4)  # block, vector, row, byte
    nibbles = np.stack([parts[0] & 15, parts[0] >> 4], axis=-1).reshape(8, 40)
    padded = np.pad(nibbles, ((0, 0), (0, 24)), constant_values=8)
    for block, vector, row, byte in np.ndindex(vectors.shape):
        low, high = (padded[row, 32 * block + 8 * vector + byte + more] for more in (0, 4))
        assert vectors[block, vector, row, byte] == low | high << 4
    np.testing.assert_array_equal(scales_behind(packed, 128), parts[1].T.view("u2"))


def test_int8_codes_are_interleaved_by_row_and_each_block_ends_with_scales():
    codes, scales = random_parts("int8-g32", (8, 40))
    packed = pack_rows("int8-g32", [codes, scales]).reshape(2, 256 + 16)
    blocks = packed[:, :256].view(np.int8).reshape(2, 8, 8, 4)  # block, vector, row, byte
    padded = np.pad(codes, ((0, 0), (0, 24)))
    for block, vector, row, byte in np.ndindex(blocks.shape):
        assert blocks[block, vector, row, byte] == padded[row, 32 * block + 4 * vector + byte]
    np.testing.assert_array_equal(scales_behind(packed, 256), scales.T.view("u2"))


@pytest.mark.parametrize(("scheme", "bits"), [("bf16", 16), ("f16", 16), ("f32", 32)])
def test_rows_of_floats_lie_side_by_side(scheme, bits):
    (weight,) = random_parts(scheme, (8, 5))
    packed = pack_rows(scheme, [weight]).view(f"u{bits // 8}").reshape(5, 8)
    np.testing.assert_array_equal(packed, weight.T.view(packed.dtype))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("rows", [1, 8, 21, 40])
def test_slices_follow_each_other(scheme, rows):
    columns = columns_of(scheme)
    parts = random_parts(scheme, (rows, columns))
    whole = pack_rows(scheme, parts)
    assert len(whole) == packed_bytes(scheme, rows, columns)
    slices = [pack_rows(scheme, [p[at : at + 16] for p in parts]) for at in range(0, rows, 16)]
    np.testing.assert_array_equal(np.concatenate(slices), whole)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_missing_rows_are_zeros(scheme):
    parts = random_parts(scheme, (3, columns_of(scheme)))
    filled = [np.concatenate([part, np.zeros_like(part)[:1].repeat(5, 0)]) for part in parts]
    np.testing.assert_array_equal(pack_rows(scheme, parts), pack_rows(scheme, filled))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_gates_and_the_ups_that_meet_them_alternate_by_group(scheme):
    columns = columns_of(scheme)
    parts = random_parts(scheme, (2 * 11, columns))
    packed = pack_glu(scheme, parts)
    assert len(packed) == glu_bytes(scheme, 11, columns)
    groups = packed.reshape(4, -1)
    gates, ups = (pack_rows(scheme, [part[first::2] for part in parts]) for first in (0, 1))
    np.testing.assert_array_equal(groups[::2].reshape(-1), gates)
    np.testing.assert_array_equal(groups[1::2].reshape(-1), ups)


def test_an_odd_number_of_gates_and_ups_is_refused():
    with pytest.raises(LoweringError, match="even"):
        pack_glu("bf16", random_parts("bf16", (5, 8)))


def test_an_mxfp4_scale_that_is_nan_is_refused():
    blocks, scales = random_parts("mxfp4", (8, 64))
    scales[3, 1] = 255
    with pytest.raises(LoweringError, match="NaN"):
        pack_rows("mxfp4", [blocks, scales])


def test_the_smallest_mxfp4_scales_become_zero():
    blocks, scales = random_parts("mxfp4", (8, 32))
    scales[:, 0] = [0, 1, 2, 3, 4, 5, 6, 254]
    assert pack_rows("mxfp4", [blocks, scales])[128:].tolist() == [0, 0, 1, 2, 3, 4, 5, 253]


def test_experts_start_at_multiples_of_64_bytes():
    assert [expert_stride(size) for size in (1, 64, 65)] == [64, 64, 128]


def test_a_scheme_without_kernels_is_refused():
    with pytest.raises(LoweringError, match="int3-g7"):
        packed_bytes("int3-g7", 8, 32)
