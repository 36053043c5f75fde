"""The dialect's nodes, and the document that lists its operations."""

from pathlib import Path

import onnx_ir as ir
import pytest

from family_models import CASES
from onnx_graphs import weight_schemes
from ossc.compiler.dialect import all_operations, find_operation
from ossc.compiler.dialect.call import as_call, dialect_node, overload_of, rebuilt
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.quantization import find_scheme
from ossc.compiler.storage import find_weight_type
from ossc.targets.errors import LoweringError, UnknownNameError
from synthetic import SyntheticShape, make_checkpoint

DOCUMENT = Path(__file__).parents[3] / "docs" / "onnx-dialect.md"
FLOAT = ir.DataType.FLOAT


def values(*names: str) -> dict[str, ir.Value]:
    return {name: ir.Value(name=name) for name in names}


def test_an_overload_is_the_format_the_variants_and_the_optional_inputs_in_their_order():
    expert, int8 = find_operation("ExpertGlu"), find_scheme("int8-g32")
    assert overload_of(expert, int8, frozenset({"bias", "silu"})) == "int8-g32,silu,bias"
    attention = find_operation("RopeAttention")
    assert overload_of(attention, None, frozenset({"query_scale", "sinks"})) == "sinks,query_scale"
    assert overload_of(find_operation("RmsNorm"), None, frozenset()) == ""


def test_inputs_are_read_by_the_names_by_which_they_were_written():
    given = values("x", "codes", "scales", "bias")
    node = dialect_node(
        "Linear",
        {"bias": given["bias"], "x": given["x"]},
        called="o_proj",
        outputs=[(FLOAT, ("tokens", 8))],
        weight=(find_scheme("int8-g32"), [given["codes"], given["scales"]]),
        attributes={"tensor_class": "dense"},
    )
    assert node.op_identifier() == ("ossc", "Linear", "int8-g32,bias")
    assert [value.name for value in node.inputs] == ["x", "codes", "scales", "bias"]
    call = as_call(node)
    assert call.inputs == {"x": given["x"], "bias": given["bias"]}
    assert call.parts == (given["codes"], given["scales"])
    assert call.optional("bias") is given["bias"]
    assert (call.tensor_class, call.format.name) == ("dense", "int8-g32")


def test_a_node_is_rebuilt_with_what_is_given_in_place_of_what_it_has():
    given = values("x", "weight", "bias")
    node = dialect_node(
        "Linear",
        {"x": given["x"], "bias": given["bias"]},
        called="o_proj",
        outputs=[(FLOAT, ("tokens", 8))],
        weight=(find_scheme("bf16"), [given["weight"]]),
        attributes={"tensor_class": "head"},
    )
    same = rebuilt(as_call(node))
    assert same.op_identifier() == node.op_identifier()
    assert (same.inputs, same.name) == (node.inputs, node.name)
    assert same.outputs[0].shape == node.outputs[0].shape
    bare = rebuilt(as_call(node), inputs={"x": given["x"]}, called="other")
    assert (bare.overload, bare.name) == ("bf16", "other")
    assert as_call(bare).tensor_class == "head"


def test_a_node_whose_inputs_are_not_those_of_its_overload_is_refused():
    node = ir.node("Router", list(values("x", "weight").values()), domain="ossc", overload="bias")
    with pytest.raises(LoweringError, match="has 2 inputs, but takes 3"):
        as_call(node).input("x")


@pytest.mark.parametrize(("domain", "op_type"), [("", "Linear"), ("ossc", "Linear")])
def test_a_call_is_a_node_of_the_dialect_and_of_the_operations_that_are_asked_for(domain, op_type):
    node = ir.node(op_type, [], domain=domain, overload="bf16")
    assert (as_call(node) is not None) == (domain == "ossc")
    assert as_call(node, "Router", "Rope") is None
    assert as_call(None) is None


@pytest.mark.parametrize("name", ["Bf16Linear", "MatMul", ""])
def test_an_unknown_operation_is_an_error(name):
    with pytest.raises(UnknownNameError, match="operation in the ONNX dialect"):
        find_operation(name)


def test_the_formats_of_all_weights_are_listed_by_module(tmp_path):
    shape = SyntheticShape(num_hidden_layers=1)
    assert weight_schemes(SourceModel.open(make_checkpoint(tmp_path, shape)).export()) == {
        "model.embed_tokens": "bf16",
        "model.layers.0.self_attn.q_proj": "bf16",
        "model.layers.0.self_attn.k_proj": "bf16",
        "model.layers.0.self_attn.v_proj": "bf16",
        "model.layers.0.self_attn.o_proj": "bf16",
        "model.layers.0.mlp.experts.gate_up_proj": "mxfp4",
        "model.layers.0.mlp.experts.down_proj": "mxfp4",
        "lm_head": "bf16",
    }


def test_a_router_is_no_weight_that_a_plan_changes(tmp_path):
    schemes = weight_schemes(SourceModel.open(CASES["mixtral"].make(tmp_path)).export())
    assert not any("gate" in name for name in schemes)


@pytest.mark.parametrize("name", all_operations())
def test_the_document_has_every_operation_with_its_ports(name):
    text, operation = DOCUMENT.read_text(encoding="utf-8"), find_operation(name)
    assert f"### {name}\n" in text
    section = text.split(f"### {name}\n")[1].split("\n### ")[0].split("\n## ")[0]
    for port, description in (*operation.inputs, *operation.outputs):
        assert f"`{port}` | {description} |" in section
    for port, description in operation.optional:
        assert f"`{port}`, optional | {description} |" in section
    for word in (*operation.attributes, *operation.variants):
        assert f"`{word}`" in section


def test_a_weight_may_be_in_several_formats_those_of_the_fewest_bits_first():
    weight = find_weight_type("bf16+mxfp4")
    assert weight.name == "mxfp4+bf16"
    names = ["mxfp4_blocks", "mxfp4_scales", "bf16_weight", "expert_table"]
    assert [part.name for part in weight.parts] == names
    shapes = ((3, 8, 2, 16), (3, 8, 2), (2, 8, 64), (5, 2))
    assert weight.weight_shape(shapes) == (5, 8, 64)
    with pytest.raises(UnknownNameError, match="did you mean 'mxfp4'"):
        find_weight_type("bf16+mxfp5")
