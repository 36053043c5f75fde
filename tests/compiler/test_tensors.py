"""Reading initializers a slice at a time."""

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx_ir as ir
import pytest

from ossc.compiler import tensors
from ossc.compiler.tensors import (
    SlicedTensor,
    concatenate_rows,
    derive_tensors,
    iterate_rows,
    read_rows,
    transpose_matrices,
)


def in_file(path: Path, values: np.ndarray, offset: int = 3) -> ir.ExternalTensor:
    """Write values at an unaligned offset of a file and describe them."""
    path.write_bytes(b"?" * offset + values.tobytes() + b"tail")
    return ir.ExternalTensor(
        path.name,
        offset,
        values.nbytes,
        ir.DataType.from_numpy(values.dtype),
        shape=ir.Shape(values.shape),
        name="weight",
        base_dir=path.parent,
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, ml_dtypes.bfloat16])
def test_rows_of_an_external_tensor_are_a_view_into_its_file(tmp_path, dtype):
    values = np.arange(30).reshape(5, 3, 2).astype(dtype)
    rows = read_rows(in_file(tmp_path / "data", values), 1, 3)
    assert rows.dtype == dtype
    assert not rows.flags.writeable
    assert rows.tobytes() == values[1:3].tobytes()


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
