"""QuantizeWeights."""

from dataclasses import replace
from functools import reduce

import numpy as np
import onnx_ir as ir
import pytest

from onnx_graphs import export_tiny, op_types, weight_schemes
from ossc.compiler.checkpoint.views import read_rows
from ossc.compiler.dialect.call import as_call, rebuilt
from ossc.compiler.dialect.functions import attach_functions
from ossc.compiler.oracle.reference import reference_logits
from ossc.compiler.passes import quantize_weights
from ossc.compiler.passes.base import replace_node
from ossc.compiler.passes.fuse_glu import FuseGlu
from ossc.compiler.passes.quantize_weights import QuantizeWeights, RoundedWeight
from ossc.compiler.passes.transpose_experts import TransposeExperts
from ossc.compiler.quantization import all_schemes, find_scheme
from ossc.compiler.quantization.plan import QuantizationPlan, load_plan
from ossc.compiler.quantization.rules import AS_STORED, TENSOR_CLASSES, Rule, rules_of
from ossc.targets.errors import QuantizationError
from synthetic import SyntheticShape
from synthetic.layout import FloatTypes

IDS = list(range(8))
EXPERTS = "model.layers.0.mlp.experts.gate_up_proj"
FUSIONS = (TransposeExperts, FuseGlu)


def fused(
    path, experts="mxfp4", shape: SyntheticShape | None = None, floats: FloatTypes = ()
) -> ir.Model:
    model = export_tiny(path, shape, experts, floats)
    return reduce(lambda each, fusion: fusion()(each).model, FUSIONS, model)


def quantized(path, preset: str, experts="mxfp4") -> ir.Model:
    return QuantizeWeights(load_plan(preset))(fused(path, experts)).model


def node_of(model: ir.Model, name: str) -> ir.Node:
    return next(node for node in model.graph if node.name == name)


def parts_of(model: ir.Model, name: str, count: int) -> list[np.ndarray]:
    node = node_of(model, name)
    at = 2 if "Expert" in node.op_type else 1
    return [value.const_value.numpy() for value in node.inputs[at : at + count]]


def test_default_quantizes_all_but_the_experts(tmp_path):
    model = quantized(tmp_path, "default")
    schemes = weight_schemes(model)
    assert {name: schemes[name] for name in ("model.embed_tokens", "lm_head", EXPERTS)} == {
        "model.embed_tokens": "int8-g32",
        "lm_head": "int8-g32",
        EXPERTS: "mxfp4",
    }
    dense = [scheme for name, scheme in schemes.items() if ".self_attn." in name]
    assert dense == ["int8-g32"] * 8


def test_default_keeps_mxfp4_experts_bit_for_bit(tmp_path):
    before = fused(tmp_path)
    tensors = {name: value.const_value for name, value in before.graph.initializers.items()}
    after = QuantizeWeights(load_plan("default"))(before).model
    for part in ("blocks", "scales"):
        name = f"{EXPERTS}_{part}"
        assert after.graph.initializers[name].const_value is tensors[name]


def test_small_quantizes_dense_matrices_and_the_head_to_four_bits(tmp_path):
    model = quantized(tmp_path, "small")
    schemes = weight_schemes(model)
    assert schemes.pop("model.embed_tokens") == "int8-g32"
    experts = {scheme for name, scheme in schemes.items() if ".experts." in name}
    others = {scheme for name, scheme in schemes.items() if ".experts." not in name}
    assert (experts, others) == ({"mxfp4"}, {"int4-g32"})
    assert np.isfinite(reference_logits(model, IDS).logits).all()


def test_none_changes_nothing(tmp_path):
    model = fused(tmp_path)
    before = op_types(model)
    assert not QuantizeWeights(load_plan("none"))(model).modified
    assert op_types(model) == before


def test_routers_norms_sinks_and_biases_stay_as_they_are(tmp_path):
    model = fused(tmp_path)
    before = {name: value.const_value for name, value in model.graph.initializers.items()}
    QuantizeWeights(load_plan("default"))(model)
    kept = [n for n in before if "norm" in n or "bias" in n or "sinks" in n or "router" in n]
    assert len(kept) == 2 * 11 + 1
    for name in kept:
        assert model.graph.initializers[name].const_value is before[name]


@pytest.mark.parametrize("scheme", [scheme.name for scheme in all_schemes()])
@pytest.mark.parametrize("experts", ["mxfp4", "bf16"])
def test_a_schemes_preset_puts_the_experts_in_it(tmp_path, scheme, experts):
    model = quantized(tmp_path, scheme, experts)
    found = find_scheme(scheme)
    assert weight_schemes(model)[EXPERTS] == scheme
    parts = parts_of(model, EXPERTS, len(found.parts))
    assert tuple(part.shape for part in parts) == found.part_shapes((4, 192, 64))
    assert [part.dtype for part in parts] == [part.dtype for part in found.parts]
    assert np.isfinite(reference_logits(model, IDS).logits).all()


@pytest.mark.parametrize("scheme", ["int8-g32", "bf16", "f16", "f32"])
def test_experts_leave_mxfp4_without_loss(tmp_path, scheme):
    stored = parts_of(fused(tmp_path), EXPERTS, 2)
    exact = find_scheme("mxfp4").dequantize(*stored)
    model = quantized(tmp_path, scheme)
    found = find_scheme(scheme)
    parts = parts_of(model, EXPERTS, len(found.parts))
    np.testing.assert_array_equal(found.dequantize(*parts, columns=64), exact)


def test_bfloat16_experts_become_mxfp4_in_default(tmp_path):
    (stored,) = parts_of(fused(tmp_path, "bf16"), EXPERTS, 1)
    model = quantized(tmp_path, "default", "bf16")
    expected = find_scheme("mxfp4").quantize(stored.astype(np.float32))
    for actual, part in zip(parts_of(model, EXPERTS, 2), expected, strict=True):
        np.testing.assert_array_equal(actual, part)


@pytest.mark.parametrize("stored", ["F16", "F32"])
@pytest.mark.parametrize("preset", ["default", "small"])
def test_quantizing_reads_the_values_as_they_are_stored(tmp_path, stored, preset):
    before = fused(tmp_path, "bf16", floats=(("*", stored),))
    weights = {name: parts_of(before, name, 1)[0] for name in ("lm_head", EXPERTS)}
    assert {weight.dtype.itemsize for weight in weights.values()} == {int(stored[1:]) // 8}
    after = QuantizeWeights(load_plan(preset))(before).model
    for name, scheme in weight_schemes(after).items():
        if name in weights:
            expected = find_scheme(scheme).quantize(weights[name].astype(np.float32))
            for actual, part in zip(parts_of(after, name, 2), expected, strict=True):
                np.testing.assert_array_equal(actual, part)


@pytest.mark.parametrize(
    ("floats", "scheme", "names"),
    [
        pytest.param((), "bf16", set(), id="bf16-is-bf16"),
        pytest.param((), "f32", set(), id="f32-holds-bf16"),
        pytest.param((("*", "F16"),), "f32", set(), id="f32-holds-f16"),
        pytest.param((("lm_head*", "F32"),), "bf16", {"lm_head"}, id="f32-to-bf16"),
        pytest.param((("lm_head*", "F32"),), "f16", None, id="bf16-and-f32-to-f16"),
        pytest.param((("*", "F16"), ("*embed*", "BF16")), "bf16", None, id="f16-to-bf16"),
    ],
)
def test_weights_that_are_rounded_are_told_when_they_are_read(tmp_path, floats, scheme, names):
    plan = QuantizationPlan(
        name="all", rules=rules_of(dict.fromkeys(TENSOR_CLASSES, scheme)), activations="f32"
    )
    before = fused(tmp_path, floats=floats)
    exact = {
        name: old.dequantize(*parts_of(before, name, len(old.parts)))
        for name, old in ((n, find_scheme(s)) for n, s in weight_schemes(before).items())
    }
    rounded: set[RoundedWeight] = set()
    after = QuantizeWeights(plan, rounded)(before).model
    assert rounded == set()
    kept = {name: find_scheme(scheme).dequantize(*parts_of(after, name, 1)) for name in exact}
    differing = {name for name in exact if not np.array_equal(exact[name], kept[name])}
    assert {weight.name for weight in rounded} == differing
    assert names is None or differing == names
    assert {weight.scheme for weight in rounded} <= {scheme}


@pytest.mark.parametrize(("scheme", "value"), [("bf16", 3.4e38), ("f16", 65520), ("f16", np.inf)])
def test_a_weight_that_a_float_type_cannot_hold_is_refused_by_name(tmp_path, scheme, value):
    model = fused(tmp_path, floats=(("lm_head*", "F32"),))
    node = next(node for node in model.graph if node.name == "lm_head")
    values = node.inputs[1].const_value.numpy().copy()
    values[3, 4] = value
    node.inputs[1].const_value = ir.Tensor(values, name="lm_head.weight")
    QuantizeWeights(load_plan("none").with_schemes(head=scheme))(model)
    with pytest.raises(QuantizationError, match=rf"lm_head\S*: {scheme} weights must be finite"):
        model.graph.initializers[f"lm_head.{scheme}.weight"].const_value.numpy()


def test_a_slice_of_a_quantized_weight_is_that_of_the_whole(tmp_path):
    model = quantized(tmp_path, "default", "bf16")
    for name in ("lm_head.codes", "lm_head.scales", f"{EXPERTS}.blocks"):
        tensor = model.graph.initializers[name].const_value
        whole = tensor.numpy()
        assert read_rows(tensor, 1, 3).tobytes() == whole[1:3].tobytes()


@pytest.mark.parametrize("preset", ["default", "small"])
def test_quantized_logits_are_those_of_the_dequantized_weights(tmp_path, preset):
    model = fused(tmp_path)
    coarse = QuantizeWeights(load_plan(preset))(fused(tmp_path)).model
    schemes = weight_schemes(coarse)
    for node in model.graph:
        scheme = schemes.get(node.name, "")
        if scheme.startswith("int"):
            values = find_scheme(scheme).dequantize(*parts_of(coarse, node.name, 2))
            node.inputs[1].const_value = ir.Tensor(values, name=node.inputs[1].name)
            node.inputs[1].dtype = ir.DataType.FLOAT
    expected = reference_logits(model, IDS).logits  # the bodies widen float32 to itself
    actual = reference_logits(coarse, IDS).logits
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("preset", "intermediate_size", "complaint"),
    [
        pytest.param("default", 64, r"gate_up_proj: mxfp4 needs rows .* not 50", id="mxfp4"),
        pytest.param("int4-g32", 37, r"down_proj: int4-g32 needs rows .* not 37", id="int4-g32"),
    ],
)
def test_rows_that_do_not_fit_a_scheme_are_refused_by_name(
    tmp_path, preset, intermediate_size, complaint
):
    shape = SyntheticShape(hidden_size=50, intermediate_size=intermediate_size)
    model = fused(tmp_path, "bf16", shape)
    with pytest.raises(QuantizationError, match=complaint):
        QuantizeWeights(load_plan(preset))(model)


@pytest.mark.parametrize(("preset", "scheme"), [("default", "int8-g32"), ("small", "int4-g32")])
def test_a_weight_that_is_not_finite_is_refused_by_name_when_it_is_read(tmp_path, preset, scheme):
    model = fused(tmp_path)
    node = next(node for node in model.graph if node.name == "lm_head")
    values = node.inputs[1].const_value.numpy().copy()
    values[3, 4] = np.nan
    node.inputs[1].const_value = ir.Tensor(values, name="lm_head.weight")
    QuantizeWeights(load_plan(preset))(model)
    codes = model.graph.initializers["lm_head.codes"].const_value
    read_rows(codes, 0, 3)
    with pytest.raises(QuantizationError, match=f"lm_head: {scheme} cannot hold"):
        read_rows(codes, 3, 4)


def test_a_plan_may_mix_schemes(tmp_path):
    plan = load_plan("default").with_schemes(head="bf16", dense="mxfp4")
    model = QuantizeWeights(plan)(fused(tmp_path)).model
    assert op_types(model)["Linear[mxfp4,bias]"] == 8
    assert op_types(model)["Linear[bf16]"] == 1
    assert op_types(model)["Embedding[int8-g32]"] == 1


def test_a_pattern_of_the_plan_gives_its_scheme_to_some_modules(tmp_path):
    plan = load_plan("default").with_schemes(**{"model.layers.1.*": "bf16"})
    schemes = weight_schemes(QuantizeWeights(plan)(fused(tmp_path)).model)
    assert schemes["model.layers.1.self_attn.o_proj"] == "bf16"
    assert schemes["model.layers.1.mlp.experts.down_proj"] == "bf16"
    assert schemes["model.layers.0.self_attn.o_proj"] == "int8-g32"
    assert schemes["lm_head"] == "int8-g32"


def test_a_pattern_that_matches_no_weight_is_refused(tmp_path):
    plan = load_plan("default").with_schemes(**{"model.layers.9.*": "bf16"})
    with pytest.raises(
        QuantizationError, match=r"'model\.layers\.9\.\*' of the plan default mat"
    ) as e:
        QuantizeWeights(plan)(fused(tmp_path))
    assert "model.layers.*.mlp.experts.gate_up_proj, model.layers.*.mlp" in str(e.value)
    assert str(e.value).count("o_proj") == 1


@pytest.mark.parametrize("scheme", ["mxfp4", "int4-g32", "int8-g32", "f16"])
def test_experts_that_are_quantized_in_pieces_are_those_of_one_piece(tmp_path, monkeypatch, scheme):
    count = len(find_scheme(scheme).parts)
    whole = parts_of(quantized(tmp_path / "whole", scheme, "bf16"), EXPERTS, count)
    monkeypatch.setattr(quantize_weights, "PIECE_ELEMENTS", 5 * 64)
    pieces = parts_of(quantized(tmp_path / "pieces", scheme, "bf16"), EXPERTS, count)
    for one, other in zip(whole, pieces, strict=True):
        assert one.tobytes() == other.tobytes()


def mixed_plan(*rules: Rule, base: str = "none") -> QuantizationPlan:
    plan = load_plan(base)
    return replace(plan, rules=(*plan.rules, *rules))


MIXED = mixed_plan(
    Rule(match="experts", scheme="int4-g32", experts=(1, 3)),
    Rule(match="*.down_proj", scheme="bf16", experts=(0,)),
)
DOWN = EXPERTS.replace("gate_up", "down")


def test_experts_of_one_tensor_get_several_schemes_and_the_rest_stays_bit_for_bit(tmp_path):
    before = fused(tmp_path)
    stored = {name: parts_of(before, name, 2) for name in (EXPERTS, DOWN)}
    model = QuantizeWeights(MIXED)(before).model
    assert weight_schemes(model)[EXPERTS] == "mxfp4+int4-g32"
    assert weight_schemes(model)[DOWN] == "mxfp4+int4-g32+bf16"
    blocks, scales, codes, bf16_scales, table = parts_of(model, EXPERTS, 5)
    assert table.dtype == np.int32
    assert table.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
    np.testing.assert_array_equal(blocks, stored[EXPERTS][0][[0, 2]])
    np.testing.assert_array_equal(scales, stored[EXPERTS][1][[0, 2]])
    exact = find_scheme("mxfp4").dequantize(*stored[EXPERTS])
    alone = find_scheme("int4-g32").quantize(exact[[1, 3]])
    assert (codes.tobytes(), bf16_scales.tobytes()) == tuple(part.tobytes() for part in alone)
    *_, weight, table = parts_of(model, DOWN, 6)
    assert table.tolist() == [[2, 0], [1, 0], [0, 0], [1, 1]]
    exact = find_scheme("mxfp4").dequantize(*stored[DOWN])
    np.testing.assert_array_equal(weight.astype(np.float32), exact[:1])


def test_logits_of_mixed_experts_are_those_of_the_dequantized_ones(tmp_path):
    model, coarse = fused(tmp_path), QuantizeWeights(MIXED)(fused(tmp_path)).model
    for node in tuple(model.graph):
        if node.op_type in ("ExpertGlu", "ExpertLinear"):
            values = find_scheme("mxfp4").dequantize(*parts_of(model, node.name, 2))
            for expert in (1, 3):  # every scheme but int4-g32 holds mxfp4 exactly
                codes = find_scheme("int4-g32").quantize(values[expert])
                values[expert] = find_scheme("int4-g32").dequantize(*codes)
            matrix = ir.Value(name=f"{node.name}.f32", const_value=ir.Tensor(values))
            model.graph.register_initializer(matrix)
            widened = rebuilt(as_call(node), weight=(find_scheme("f32"), [matrix]))
            replace_node(model.graph, node, widened)
    attach_functions(model)
    expected = reference_logits(model, IDS).logits
    actual = reference_logits(coarse, IDS).logits
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-5)


def test_mixed_experts_are_read_expert_by_expert(tmp_path, monkeypatch):
    whole = parts_of(QuantizeWeights(MIXED)(fused(tmp_path / "whole", "bf16")).model, DOWN, 4)
    monkeypatch.setattr(quantize_weights, "PIECE_ELEMENTS", 5 * 96)
    model = QuantizeWeights(MIXED)(fused(tmp_path / "pieces", "bf16")).model
    for one, value in zip(whole, node_of(model, DOWN).inputs[2:6], strict=True):
        rows = [read_rows(value.const_value, row, row + 1) for row in range(len(one))]
        assert np.concatenate(rows).tobytes() == one.tobytes()


def test_rules_that_give_all_experts_one_scheme_make_no_mixture(tmp_path):
    rules = [Rule(match="experts", scheme="bf16", experts=experts) for experts in ((0, 1), (2, 3))]
    model = QuantizeWeights(mixed_plan(*rules))(fused(tmp_path)).model
    assert weight_schemes(model)[EXPERTS] == "bf16"
    stored = Rule(match="experts", scheme=AS_STORED, experts=(2,))
    assert not QuantizeWeights(mixed_plan(stored))(fused(tmp_path)).modified


def test_float_experts_that_are_rounded_are_told_with_their_scheme(tmp_path):
    plan = mixed_plan(Rule(match=EXPERTS, scheme="bf16", experts=(2,)))
    rounded: set[RoundedWeight] = set()
    model = QuantizeWeights(plan, rounded)(fused(tmp_path, "bf16", floats=(("*", "F32"),))).model
    assert weight_schemes(model)[EXPERTS] == "bf16+f32"
    parts_of(model, EXPERTS, 3)
    assert rounded == {RoundedWeight(name=EXPERTS, tensor_class="experts", scheme="bf16")}


@pytest.mark.parametrize(
    ("rule", "refusal"),
    [
        pytest.param(
            Rule(match="experts", scheme="bf16", experts=(0, 4)),
            r"'experts' of the plan none names expert 4, and model\.layers\.0\.\S+ has 4 experts; "
            r"name some of 0 to 3",
            id="expert",
        ),
        pytest.param(
            Rule(match="*.self_attn.*", scheme="bf16", experts=(0,)),
            "is for some experts, and matches no weight of experts",
            id="dense",
        ),
        pytest.param(
            Rule(match="dense", scheme="bf16", experts=(0,)),
            "'dense' of the plan none is for some experts, and matches no weight of experts",
            id="class",
        ),
        pytest.param(
            Rule(match="model.layers.7.*", scheme="bf16", experts=(0,)),
            r"pattern 'model\.layers\.7\.\*' of the plan none matches no weight",
            id="pattern",
        ),
    ],
)
def test_a_rule_for_experts_that_are_not_there_is_refused(tmp_path, rule, refusal):
    with pytest.raises(QuantizationError, match=refusal):
        QuantizeWeights(mixed_plan(rule))(fused(tmp_path))


def test_mixed_experts_are_not_quantized_again(tmp_path):
    model = QuantizeWeights(MIXED)(fused(tmp_path)).model
    assert not QuantizeWeights(load_plan("none"))(model).modified
    with pytest.raises(QuantizationError, match=r"in mxfp4\+int4-g32 already; quantize it once"):
        QuantizeWeights(MIXED)(model)
