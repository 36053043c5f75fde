"""Weights as words: sizes, and slices that give the bytes of the whole."""

import numpy as np
import onnx_ir as ir
import pytest

from kernel_operands import random_parts
from ossc.compiler.backends.gpu import packed
from ossc.compiler.backends.gpu.weights import find_format
from ossc.compiler.lowering import weight_rows
from ossc.compiler.quantization import find_scheme
from ossc.targets.errors import LoweringError

SCHEMES = ["f32", "bf16", "f16", "int8-g32", "int4-g32", "mxfp4"]


def tensors(scheme: str, shape: tuple[int, ...]) -> list[ir.Tensor]:
    names = [f"w.{part.name}" for part in find_scheme(scheme).parts]
    parts = random_parts(scheme, shape)
    return [ir.Tensor(part, name=name) for part, name in zip(parts, names, strict=True)]


def content(weight: packed.WordMatrix) -> np.ndarray:
    return np.concatenate([piece.reshape(-1) for piece in weight.pieces()])


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("describe", [packed.matrix_weight, packed.glu_weight])
def test_slices_of_rows_give_the_words_of_the_whole(scheme, describe, monkeypatch):
    weight = describe(find_scheme(scheme), tensors(scheme, (70, 64)))
    whole = content(weight)
    monkeypatch.setattr(weight_rows, "PIECE_ELEMENTS", 33 * 64)  # one slice of 32 rows
    pieces = list(weight.pieces())
    assert len(pieces) == 3
    assert content(weight).tobytes() == whole.tobytes()
    assert whole.nbytes == weight.size_bytes == 4 * weight.words


@pytest.mark.parametrize("scheme", SCHEMES)
def test_experts_lie_one_after_the_other(scheme):
    parts = tensors(scheme, (3, 20, 64))
    whole = content(packed.expert_weight(find_scheme(scheme), parts))
    alone = [
        packed.pack_matrix(find_format(scheme), [part.numpy()[expert] for part in parts], 64)
        for expert in range(3)
    ]
    assert whole.tobytes() == np.concatenate(alone).tobytes()


def test_the_words_of_neighbouring_rows_are_neighbours():
    values = np.arange(16 * 32, dtype=np.float32).reshape(16, 32)
    words = packed.pack_matrix(find_format("f32"), [values], 32)
    np.testing.assert_array_equal(words.view(np.float32).reshape(32, 16), values.T)


def test_a_scale_that_is_no_number_is_refused():
    blocks, scales = random_parts("mxfp4", (2, 32))
    scales[1] = 255
    with pytest.raises(LoweringError, match="255, which stands for NaN"):
        packed.pack_matrix(find_format("mxfp4"), [blocks, scales], 32)


def test_a_scheme_without_kernels_is_named():
    with pytest.raises(LoweringError, match=r"'int3'; choose one of bf16, f16"):
        find_format("int3")
