"""Names of the dialect's operations."""

from pathlib import Path

import pytest

from ossc.compiler.dialect import (
    OPERATIONS,
    op_type,
    parse_operation,
    weight_schemes,
)
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.passes.fuse_linear import FuseLinear
from ossc.compiler.quantization import all_schemes
from ossc.targets.errors import UnknownNameError
from synthetic import SyntheticShape, make_checkpoint

DOCUMENT = Path(__file__).parents[3] / "docs" / "onnx-dialect.md"


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_op_type_is_the_schemes_prefix_and_the_operation(operation):
    if operation.weight is None:
        assert parse_operation(operation.name) == (operation.name, None)
        return
    for scheme in all_schemes():
        assert parse_operation(op_type(operation.name, scheme)) == (operation.name, scheme.name)


@pytest.mark.parametrize("name", ["Linear", "Int4Linear", "Bf16Router", ""])
def test_an_unknown_op_type_is_an_error(name):
    with pytest.raises(UnknownNameError, match="operation in the ONNX dialect"):
        parse_operation(name)


def test_the_schemes_of_all_weights_are_listed_by_module(tmp_path):
    shape = SyntheticShape(num_hidden_layers=1)
    model = FuseLinear()(SourceModel.open(make_checkpoint(tmp_path, shape)).export()).model
    assert weight_schemes(model) == {
        "model.layers.0.self_attn.q_proj": "bf16",
        "model.layers.0.self_attn.k_proj": "bf16",
        "model.layers.0.self_attn.v_proj": "bf16",
        "model.layers.0.self_attn.o_proj": "bf16",
        "model.layers.0.mlp.router": "bf16",
        "lm_head": "bf16",
    }


def test_the_document_has_every_operation_with_its_ports():
    text = DOCUMENT.read_text(encoding="utf-8")
    for operation in OPERATIONS:
        assert f"### {operation.name}" in text
        section = text.split(f"### {operation.name}\n")[1].split("\n### ")[0]
        for name, description in (*operation.inputs, *operation.outputs):
            assert f"`{name}` | {description} |" in section
        for attribute in operation.attributes:
            assert f"`{attribute}`" in section
