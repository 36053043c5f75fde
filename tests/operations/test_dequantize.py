"""The functions that make float32 of each format's parts, in ONNX and in NumPy."""

import numpy as np
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

from kernel_operands import random_parts
from operations.dequantized import FORMATS, dequantized
from ossc.compiler.dialect import DOMAIN, DOMAIN_VERSION
from ossc.compiler.dialect.builder import IR_VERSION
from ossc.compiler.dialect.functions import OPSET_VERSION, build_dequantize
from ossc.compiler.oracle.session import ort_session
from ossc.compiler.storage import find_format


def in_onnxruntime(name: str, parts: list[NDArray]) -> NDArray[np.float32]:
    function = build_dequantize(find_format(name))
    weights = [
        ir.Value(
            name=value.name,
            type=ir.TensorType(ir.DataType.from_numpy(part.dtype)),
            shape=ir.Shape(part.shape),
            const_value=ir.Tensor(part, name=value.name),
        )
        for value, part in zip(function.inputs, parts, strict=True)
    ]
    y = ir.Value(name="y", type=ir.TensorType(ir.DataType.FLOAT))
    node = ir.node(function.name, weights, domain=DOMAIN, outputs=[y])
    opsets = {"": OPSET_VERSION, DOMAIN: DOMAIN_VERSION}
    graph = ir.Graph([], [y], nodes=[node], initializers=weights, opset_imports=opsets, name="d")
    model = ir.Model(graph, ir_version=IR_VERSION, functions=[function])
    (result,) = ort_session(model).run(None, {})
    return result


def in_numpy(name: str, parts: list[NDArray]) -> NDArray[np.float32]:
    return find_format(name).dequantize(*parts)


WAYS = pytest.mark.parametrize("dequantize", [in_onnxruntime, in_numpy])


@WAYS
@pytest.mark.parametrize("shape", [(10, 96), (2, 3, 10, 96)])
@pytest.mark.parametrize("name", FORMATS)
def test_dequantize_is_exact(name, shape, dequantize):
    parts = random_parts(name, shape)
    np.testing.assert_array_equal(dequantize(name, parts), dequantized(name, parts))


@WAYS
@pytest.mark.parametrize(
    ("name", "columns"), [("int8-g32", 31), ("int8-g32", 33), ("int4-g32", 34), ("int4-g32", 70)]
)
def test_dequantize_takes_a_short_last_group(name, columns, dequantize):
    parts = random_parts(name, (10, columns))
    weight = dequantize(name, parts)
    assert weight.shape == (10, columns)
    np.testing.assert_array_equal(weight, dequantized(name, parts))


@WAYS
def test_dequantize_mxfp4_knows_every_scale(dequantize):
    blocks = np.full((256, 1, 16), 0x72, np.uint8)
    scales = np.arange(256, dtype=np.uint8)[:, None]
    with np.errstate(over="ignore"):
        weight = dequantize("mxfp4", [blocks, scales])
    exact = np.tile([1.0, 6.0], 16) * 2.0 ** (np.arange(255) - 127)[:, None]
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(weight[:255], exact.astype(np.float32))
    assert np.isnan(weight[255]).all()
    assert np.isnan(dequantized("mxfp4", [blocks, scales])[255]).all()


@WAYS
def test_dequantize_knows_every_code(dequantize):
    scales = np.full((1, 16), 127, np.uint8)
    blocks = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    (row,) = dequantize("mxfp4", [blocks, scales])
    assert set(row) == {0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.5, -1, -1.5, -2, -3, -4, -6}
    np.testing.assert_array_equal(row, dequantized("mxfp4", [blocks, scales])[0])
