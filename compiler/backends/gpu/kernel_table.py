"""The GPUs' kernels: for each operation the first that can."""

from ossc.compiler.backends.gpu.kernels.attention.chunk_attention import chunk_attention
from ossc.compiler.backends.gpu.kernels.attention.rope_store import rope_store
from ossc.compiler.backends.gpu.kernels.attention.section_attention import (
    join_sections,
    section_attention,
)
from ossc.compiler.backends.gpu.kernels.attention.token_attention import token_attention
from ossc.compiler.backends.gpu.kernels.embedding import embedding
from ossc.compiler.backends.gpu.kernels.experts.combine_experts import combine_experts
from ossc.compiler.backends.gpu.kernels.experts.expert_glu import expert_glu
from ossc.compiler.backends.gpu.kernels.experts.expert_linear import expert_linear
from ossc.compiler.backends.gpu.kernels.experts.group_by_expert import group_by_expert
from ossc.compiler.backends.gpu.kernels.experts.router_top_k import router_top_k
from ossc.compiler.backends.gpu.kernels.products.linear import linear
from ossc.compiler.backends.gpu.kernels.products.linear_glu import linear_glu
from ossc.compiler.backends.gpu.kernels.rms_norm import rms_norm
from ossc.compiler.lowering.choice import Candidate, KernelTable, Request

ONE = "one token"


def of_one_token(request: Request) -> bool:
    """Tell whether every call has a single token."""
    return request.rows == 1


KERNELS = KernelTable(
    (
        Candidate(operation="AddRmsNorm", build=rms_norm),
        Candidate(operation="Attention", build=token_attention, can=of_one_token, limits=ONE),
        Candidate(operation="Attention", build=chunk_attention),
        Candidate(operation="CombineExperts", build=combine_experts),
        Candidate(operation="Embedding", build=embedding),
        Candidate(operation="ExpertGlu", build=expert_glu),
        Candidate(operation="ExpertLinear", build=expert_linear),
        Candidate(operation="GroupByExpert", build=group_by_expert),
        Candidate(operation="JoinSections", build=join_sections),
        Candidate(operation="Linear", build=linear),
        Candidate(operation="LinearGlu", build=linear_glu),
        Candidate(operation="RmsNorm", build=rms_norm),
        Candidate(operation="RopeStore", build=rope_store),
        Candidate(operation="RouterTopK", build=router_top_k),
        Candidate(
            operation="SectionAttention", build=section_attention, can=of_one_token, limits=ONE
        ),
    )
)
