"""Reading initializers a slice at a time."""

import mmap
import os
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from ossc.compiler.checkpoint import views as tensors
from ossc.compiler.checkpoint.views import (
    FileTensor,
    SlicedTensor,
    concatenate_rows,
    derive_tensors,
    iterate_rows,
    read_rows,
    take_rows,
    transpose_matrices,
)
from ossc.targets.errors import CheckpointError


def in_file(path: Path, values: np.ndarray, offset: int = 3) -> FileTensor:
    """Write values at an unaligned offset of a file and describe them."""
    path.write_bytes(b"?" * offset + values.tobytes() + b"tail")
    return FileTensor(
        path.name,
        offset,
        values.nbytes,
        ir.DataType.from_numpy(values.dtype),
        shape=ir.Shape(values.shape),
        name="weight",
        base_dir=path.parent,
    )


DTYPES = [np.uint8, np.float16, np.float32, np.int64, ml_dtypes.bfloat16]


def begins_in(array: np.ndarray) -> object:
    """Return the object whose memory an array shows."""
    while isinstance(array, np.ndarray) and array.base is not None:
        array = array.base
    return array


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("offset", [0, 3, 8, 4099])
def test_rows_of_a_tensor_in_a_file_are_what_it_holds(tmp_path, dtype, offset):
    values = np.arange(30).reshape(5, 3, 2).astype(dtype)
    rows = read_rows(in_file(tmp_path / "data", values, offset), 1, 3)
    assert rows.dtype == dtype
    assert rows.flags.aligned
    assert not rows.flags.writeable
    assert rows.tobytes() == values[1:3].tobytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_at_a_suitable_byte_are_a_view_into_the_file_and_no_copy(tmp_path, dtype):
    tensor = in_file(tmp_path / "data", np.ones((5, 8), dtype), offset=8)
    assert isinstance(begins_in(read_rows(tensor, 1, 3)), mmap.mmap)


def test_of_a_tensor_at_odd_bytes_only_the_rows_asked_for_are_copied(tmp_path):
    rows = read_rows(in_file(tmp_path / "data", np.ones((1000, 8), np.float32)), 1, 3)
    assert begins_in(rows).nbytes == 64


@pytest.mark.parametrize("shape", [(), (1,), (0, 2), (3, 2)])
def test_all_values_of_a_tensor_in_a_file_are_read_in_every_way(tmp_path, shape):
    values = np.full(shape, 1.5, ml_dtypes.bfloat16)
    tensor = in_file(tmp_path / "data", values)
    assert tensor.numpy().shape == shape
    assert np.array_equal(tensor.numpy(), values)
    assert np.array_equal(np.asarray(tensor), values)
    assert tensor.tobytes() == values.tobytes()


@pytest.mark.parametrize("link", ["symbolic", "hard"])
def test_a_file_with_links_is_read(tmp_path, link):
    """As a snapshot of the hub's cache has them, and a checkpoint after ``ossc export``."""
    (tmp_path / "folder").mkdir()
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    tensor = in_file(tmp_path / "folder" / "data", values)
    if link == "hard":
        (tmp_path / "other").hardlink_to(tmp_path / "folder" / "data")
    else:
        (tmp_path / "folder" / "data").rename(tmp_path / "blob")
        (tmp_path / "folder" / "data").symlink_to("../blob")
    assert np.array_equal(tensor.numpy(), values)
    assert np.array_equal(read_rows(tensor, 1, 2), values[1:2])
    assert tensor.tobytes() == values.tobytes()


def test_a_file_that_is_cut_or_gone_is_an_error_that_names_the_tensor(tmp_path):
    tensor = in_file(tmp_path / "data", np.ones((4, 2), np.float32))
    os.truncate(tmp_path / "data", 20)
    for read in (tensor.numpy, lambda: read_rows(tensor, 3, 4)):
        with pytest.raises(CheckpointError, match="'weight' can no longer be read; the file has"):
            read()
    (tmp_path / "data").unlink()
    with pytest.raises(CheckpointError, match="'weight' can no longer be read; the file has"):
        tensor.numpy()


def test_no_rows_of_an_external_tensor_are_an_empty_array(tmp_path):
    tensor = in_file(tmp_path / "data", np.ones((4, 2), np.float32))
    assert read_rows(tensor, 2, 2).shape == (0, 2)


def test_rows_of_a_tensor_in_memory():
    assert read_rows(ir.tensor([1, 2, 3, 4]), 1, 3).tolist() == [2, 3]


@pytest.mark.parametrize("slice_bytes", [1, 16, 24, 1000])
def test_all_rows_come_a_few_at_a_time(monkeypatch, slice_bytes):
    monkeypatch.setattr(tensors, "SLICE_BYTES", slice_bytes)
    values = np.arange(10, dtype=np.int64).reshape(5, 2)  # 16 bytes a row
    pieces = list(iterate_rows(ir.tensor(values)))
    assert np.array_equal(np.concatenate(pieces), values)
    assert {len(piece) for piece in pieces[:-1]} <= {max(1, slice_bytes // 16)}


@pytest.mark.parametrize(("begin", "end"), [(0, 9), (0, 2), (1, 8), (2, 3), (5, 9), (4, 4)])
def test_concatenated_rows_are_read_from_the_tensors_they_lie_in(begin, end):
    values = np.arange(18).reshape(9, 2)
    pieces = [ir.tensor(values[:2]), ir.tensor(values[2:3]), ir.tensor(values[3:])]
    whole = concatenate_rows("whole", pieces)
    assert whole.shape == [9, 2]
    assert whole.name == "whole"
    assert np.array_equal(read_rows(whole, begin, end), values[begin:end])


def test_concatenated_rows_of_different_float_types_are_float32():
    pieces = [
        ir.tensor(np.array([[0.1], [0.2]], ml_dtypes.bfloat16)),
        ir.tensor(np.array([[0.3]], np.float16)),
        ir.tensor(np.array([[0.4]], np.float32)),
    ]
    whole = concatenate_rows("whole", pieces)
    assert whole.dtype == ir.DataType.FLOAT
    expected = np.concatenate([piece.numpy().astype(np.float32) for piece in pieces])
    for begin, end in ((0, 4), (0, 1), (1, 3), (2, 2)):
        rows = read_rows(whole, begin, end)
        assert rows.dtype == np.float32
        assert rows.tobytes() == expected[begin:end].tobytes()


def test_transposed_matrices_swap_the_last_two_axes():
    values = np.arange(24).reshape(2, 3, 4)
    swapped = transpose_matrices("swapped", ir.tensor(values))
    assert swapped.shape == [2, 4, 3]
    assert np.array_equal(read_rows(swapped, 1, 2), values[1:2].transpose(0, 2, 1))
    assert swapped.tobytes() == np.ascontiguousarray(values.transpose(0, 2, 1)).tobytes()


def test_derived_tensors_share_one_computation_of_a_slice():
    calls = []

    def compute(begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
        calls.append((begin, end))
        rows = np.arange(begin, end)
        return rows, -rows

    layouts = [("plus", ir.DataType.INT64, (4,)), ("minus", ir.DataType.INT64, (4,))]
    plus, minus = derive_tensors(layouts, compute)
    assert read_rows(plus, 1, 3).tolist() == [1, 2]
    assert read_rows(minus, 1, 3).tolist() == [-1, -2]
    assert calls == [(1, 3)]
    assert minus.numpy().tolist() == [0, -1, -2, -3]


def test_a_sliced_tensor_is_an_initializer_that_onnx_can_write():
    tensor = SlicedTensor(
        "rows", ir.DataType.FLOAT, (3, 2), lambda a, b: np.eye(3, 2, dtype=np.float32)[a:b]
    )
    assert np.array_equal(tensor.numpy(), np.eye(3, 2))
    proto = ir.to_proto(tensor)
    assert proto.dims == [3, 2]
    assert np.array_equal(ir.from_proto(proto).numpy(), np.eye(3, 2))


@pytest.mark.parametrize("dtype", [np.uint8, ml_dtypes.bfloat16])
def test_taken_rows_are_those_of_the_tensor_in_the_order_asked_for(tmp_path, dtype):
    values = np.arange(40).reshape(5, 2, 4).astype(dtype)
    taken = take_rows("some", in_file(tmp_path / "data", values), [4, 0, 3])
    assert (taken.name, taken.dtype) == ("some", ir.DataType.from_numpy(np.dtype(dtype)))
    assert tuple(taken.shape.numpy()) == (3, 2, 4)
    assert taken.numpy().tobytes() == values[[4, 0, 3]].tobytes()
    assert read_rows(taken, 1, 3).tobytes() == values[[0, 3]].tobytes()


def test_one_taken_row_is_a_view_into_the_file(tmp_path):
    values = np.arange(40, dtype=np.uint8).reshape(5, 8)
    taken = take_rows("some", in_file(tmp_path / "data", values), [4, 0])
    assert isinstance(begins_in(read_rows(taken, 0, 1)), mmap.mmap)
