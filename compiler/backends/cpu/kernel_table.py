"""The CPU's kernels: for each operation the first that can."""

from ossc.compiler.backends.cpu.kernels.attention.attention import attention
from ossc.compiler.backends.cpu.kernels.attention.attention_sections import SECTION, has_sections
from ossc.compiler.backends.cpu.kernels.attention.attention_shape import AttentionShape
from ossc.compiler.backends.cpu.kernels.attention.rope_store import rope_store
from ossc.compiler.backends.cpu.kernels.attention.section_attention import (
    join_sections,
    section_attention,
)
from ossc.compiler.backends.cpu.kernels.embedding import embedding
from ossc.compiler.backends.cpu.kernels.experts.combine_experts import combine_experts
from ossc.compiler.backends.cpu.kernels.experts.expert_glu import expert_glu
from ossc.compiler.backends.cpu.kernels.experts.expert_linear import expert_linear
from ossc.compiler.backends.cpu.kernels.experts.group_by_expert import group_by_expert
from ossc.compiler.backends.cpu.kernels.experts.router_top_k import router_top_k
from ossc.compiler.backends.cpu.kernels.products.linear import linear
from ossc.compiler.backends.cpu.kernels.products.linear_glu import linear_glu
from ossc.compiler.backends.cpu.kernels.products.quantize_activations import quantize_activations
from ossc.compiler.backends.cpu.kernels.rms_norm import rms_norm
from ossc.compiler.backends.cpu.weights import find_formats
from ossc.compiler.lowering.choice import Candidate, KernelTable, Request


def sees_sections(request: Request) -> bool:
    """Tell whether a single token can see more keys than a section has."""
    shape, capacity = request.parameters["shape"], request.parameters["capacity"]
    assert isinstance(shape, AttentionShape)
    assert isinstance(capacity, int)
    return request.rows == 1 and has_sections(shape, capacity)


def multiplies(request: Request) -> bool:
    """Tell whether weights of the scheme, or of one of several, meet activations of this type."""
    assert request.scheme is not None
    formats = find_formats(request.scheme)
    return request.activation == "f32" or any(each.integer_sums for each in formats)


SECTIONS = f"one token that can see more than {SECTION} keys"

PRODUCTS = "activations in float32, or in integers where the scheme has codes"

KERNELS = KernelTable(
    (
        Candidate(operation="AddRmsNorm", build=rms_norm),
        Candidate(
            operation="Attention", build=section_attention, can=sees_sections, limits=SECTIONS
        ),
        Candidate(operation="Attention", build=attention),
        Candidate(operation="CombineExperts", build=combine_experts),
        Candidate(operation="Embedding", build=embedding),
        Candidate(operation="ExpertGlu", build=expert_glu, can=multiplies, limits=PRODUCTS),
        Candidate(operation="ExpertLinear", build=expert_linear, can=multiplies, limits=PRODUCTS),
        Candidate(operation="GroupByExpert", build=group_by_expert),
        Candidate(operation="JoinSections", build=join_sections),
        Candidate(operation="Linear", build=linear, can=multiplies, limits=PRODUCTS),
        Candidate(operation="LinearGlu", build=linear_glu, can=multiplies, limits=PRODUCTS),
        Candidate(operation="QuantizeActivations", build=quantize_activations),
        Candidate(operation="RmsNorm", build=rms_norm),
        Candidate(operation="RopeStore", build=rope_store),
        Candidate(operation="RouterTopK", build=router_top_k),
    )
)
