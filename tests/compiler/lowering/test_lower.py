"""A whole small model, lowered to a plan."""

import itertools
import math

import onnx_ir as ir
import pytest

from ossc.compiler.backends.cpu.backend import BACKEND
from ossc.compiler.backends.cpu.kv_cache.layout import TILE
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.lowering.lower import LoweredModel
from ossc.compiler.lowering.shards import PAGE_BYTES
from ossc.compiler.order import Order
from ossc.compiler.pipeline import fusion_passes, quantized_model
from ossc.compiler.recipe import Recipe
from ossc.runtimes.plan import N_TOKENS, DType, Role, Segment, Use
from ossc.targets.errors import LoweringError
from synthetic import SyntheticShape, make_checkpoint

SHAPE = SyntheticShape(num_hidden_layers=3, num_local_experts=5, num_experts_per_tok=3)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = make_checkpoint(tmp_path_factory.mktemp("model"), SHAPE)
    return Recipe(model=folder, target="cpu:x86-64-v3", context=200, prefill_chunk=128)


@pytest.fixture(scope="module")
def lowered(recipe: Recipe) -> LoweredModel:
    source = SourceModel.open(recipe.model)
    model = quantized_model(source, Order.of(recipe).plan)
    return BACKEND.lower(model, Order.of(recipe).options(source.config))


def places(lowered: LoweredModel, segment: Segment, use: Use) -> list[tuple[int, int, int]]:
    """Return first byte, last byte and step of every use of a space."""
    plan = lowered.plan
    return [
        (tensor.offset_bytes, tensor.end_bytes(segment.max_tokens), number)
        for number, step in enumerate(segment.steps)
        for tensor in (plan.tensors[index] for index in step.tensors)
        if plan.use_of(tensor) == use
    ]


def test_there_is_a_segment_for_a_token_a_chunk_a_row_and_a_block_of_rows(lowered):
    keys = [(segment.name, segment.max_tokens) for segment in lowered.plan.segments]
    assert sorted(keys) == [("decode", 1), ("head", 1), ("head", 16), ("prefill", 128)]


def test_every_weight_has_its_own_bytes_and_large_ones_start_at_a_page(lowered):
    used: dict[int, int] = {}
    for segment in lowered.plan.segments:
        for begin, end, _ in places(lowered, segment, Use.WEIGHTS):
            used[begin] = max(end, used.get(begin, 0))
    spans = sorted(used.items())
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))
    large = [begin for begin, end in spans if end - begin >= PAGE_BYTES]
    assert large
    assert all(begin % PAGE_BYTES == 0 for begin in large)
    assert len(spans) == len(lowered.weights)


def test_a_decoded_token_reads_the_weights_from_front_to_back(lowered):
    decode = lowered.plan.segment("decode")
    offsets = [begin for begin, _, _ in places(lowered, decode, Use.WEIGHTS)]
    repeated = {offset for offset in offsets if offsets.count(offset) > 1}  # inverse frequencies
    once = [offset for offset in offsets if offset not in repeated]
    large = [o for o in once if o % PAGE_BYTES == 0]
    assert large == sorted(large)


def test_pieces_of_a_weight_have_the_planned_size(lowered):
    for weight in lowered.weights.values():
        assert sum(piece.nbytes for piece in weight.pieces()) == weight.size_bytes


def test_each_layer_has_one_cache_for_keys_and_one_for_values(lowered):
    layers = SHAPE.num_hidden_layers
    assert set(lowered.kernels)  # the caches are named by the kernels' shapes
    sliding = math.ceil((SHAPE.sliding_window - 1 + 128) / TILE) * TILE
    full = math.ceil(200 / TILE) * TILE
    positions = [sliding, full, sliding]
    expected = sum(2 * SHAPE.num_key_value_heads * n * SHAPE.head_dim * 4 for n in positions)
    assert lowered.kv_bytes["f32"] == expected
    assert lowered.kv_bytes["f16"] == expected // 2
    scales = SHAPE.head_dim // 32 or 1  # each of 4 bytes
    assert lowered.kv_bytes["int8"] == expected // 4 + expected // SHAPE.head_dim * scales
    assert layers == len(positions)


def test_the_plans_share_the_weights(lowered):
    def weights(plan):
        tensors = (tensor for tensor in plan.tensors if tensor.space == Use.WEIGHTS)
        return sorted((tensor.offset_bytes, tensor.shape) for tensor in tensors)

    assert weights(lowered.plans["f32"])
    for plan in lowered.plans.values():
        assert plan.weights_bytes == lowered.plan.weights_bytes
        assert weights(plan) == weights(lowered.plan)


def test_decode_and_prefill_share_the_caches(lowered):
    caches = []
    for name in ("decode", "prefill"):
        segment = lowered.plan.segment(name)
        stores = [step for step in segment.steps if step.kernel.startswith("rope_store")]
        tensors = [[lowered.plan.tensors[i] for i in step.tensors[4:6]] for step in stores]
        caches.append([[(t.space, t.offset_bytes, t.shape) for t in pair] for pair in tensors])
    assert caches[0] == caches[1]
    assert all(space == Use.STATE for pair in caches[0] for space, _, _ in pair)


def test_no_step_reads_and_writes_the_same_bytes_under_two_names(lowered):
    """Kernels are compiled on the promise that their buffers are distinct."""
    plan = lowered.plan
    for segment in plan.segments:
        for step in segment.steps:
            tensors = sorted({plan.tensors[i] for i in step.tensors}, key=lambda t: t.offset_bytes)
            for space in (Use.STATE, Use.ARENA):
                inside = [tensor for tensor in tensors if tensor.space == space]
                for a, b in itertools.pairwise(inside):
                    assert a.end_bytes(segment.max_tokens) <= b.offset_bytes, step


def test_chunk_buffers_take_as_many_rows_as_the_call_has(lowered):
    prefill = lowered.plan.segment("prefill")
    ids = lowered.plan.by_role(prefill.inputs)[Role.TOKEN_IDS, -1]
    hidden = lowered.plan.by_role(prefill.outputs)[Role.HIDDEN, -1]
    assert ids.shape == (N_TOKENS,)
    assert hidden.shape == (N_TOKENS, SHAPE.hidden_size)


def roles_of(lowered: LoweredModel, segment: Segment, kernel: str) -> list[Role]:
    """Return the roles of the buffers of a kernel's first step."""
    step = next(step for step in segment.steps if step.kernel.startswith(kernel))
    return [lowered.plan.tensors[index].role for index in step.tensors]


def test_buffers_say_what_their_numbers_mean(lowered):
    decode, prefill = (lowered.plan.segment(name) for name in ("decode", "prefill"))
    table, weights, other = Role.EXPERT_OFFSETS, Role.WEIGHTS, Role.OTHER
    assert roles_of(lowered, decode, "expert_swiglu") == [
        *(Role.CODES, Role.CODE_SCALES, Role.CODE_SUMS),
        *(Role.EXPERT_INDICES, table, weights, weights, other),
    ]
    assert roles_of(lowered, prefill, "expert_swiglu") == [
        *(Role.CODES, Role.CODE_SCALES),
        *(Role.EXPERT_BOUNDS, Role.EXPERT_ORDER, table, weights, weights, other),
    ]
    assert roles_of(lowered, decode, "embedding")[0] == Role.TOKEN_IDS
    assert roles_of(lowered, decode, "rope_store")[3:6] == [
        *(Role.POSITIONS, Role.CACHE, Role.CACHE)
    ]


def test_every_table_of_experts_is_one_of_offsets(lowered):
    tensors = lowered.plan.tensors
    tables = [each for each in tensors if each.role == Role.EXPERT_OFFSETS]
    assert len(tables) == 2 * SHAPE.num_hidden_layers
    assert {(each.dtype, each.shape) for each in tables} == {
        (DType.I64, (SHAPE.num_local_experts,))
    }


def test_each_router_is_an_output_of_its_layer(lowered):
    assert lowered.plan.router_widths == dict.fromkeys(range(3), SHAPE.num_experts_per_tok)


def test_steps_know_their_layer(lowered):
    decode = lowered.plan.segment("decode")
    layers = {step.layer for step in decode.steps}
    assert layers == {-1, 0, 1, 2}
    attention = [step.layer for step in decode.steps if step.kernel.startswith("sink_attention")]
    assert attention == [0, 1, 2]


def test_a_graph_without_row_selection_is_refused(recipe):
    source = SourceModel.open(recipe.model)
    model = source.export()
    for each in fusion_passes()[:-1]:
        model = each(model).model
    with pytest.raises(LoweringError, match="SelectRowsBeforeHead"):
        BACKEND.lower(model, Order.of(recipe).options(source.config))


def test_an_operator_without_lowering_is_refused_by_name(recipe):
    source = SourceModel.open(recipe.model)
    model = source.export()
    for each in fusion_passes():
        model = each(model).model
    router = next(node for node in model.graph if node.op_type == "Router")
    twice = ir.node("Trilu", [router.inputs[0]], name="other")
    model.graph.insert_before(router, twice)
    router.replace_input_with(0, twice.outputs[0])
    with pytest.raises(LoweringError, match=r"The ONNX operator Trilu of node 'other' has no low"):
        BACKEND.lower(model, Order.of(recipe).options(source.config))


@pytest.mark.parametrize(
    ("missing", "refusal"),
    [
        (("MergeQkv", "FuseRopeAttention"), r"The operation Rope of 'model\..*' has no lowering"),
        (("FuseGlu",), r"The experts '.*' of a token read one vector, .*; apply FuseGlu first"),
    ],
)
def test_an_operation_that_exists_only_fused_is_refused_by_name(recipe, missing, refusal):
    source = SourceModel.open(recipe.model)
    model = source.export()
    for each in fusion_passes():
        if type(each).__name__ not in missing:
            model = each(model).model
    with pytest.raises(LoweringError, match=refusal):
        BACKEND.lower(model, Order.of(recipe).options(source.config))
