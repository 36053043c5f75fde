"""Lowers each operation of the dialect to kernels for GPUs."""

from ossc.compiler.backends.gpu.operations import (
    attention,
    combine_experts,
    dense,
    experts,
    norm,
)
from ossc.compiler.lowering.importer import OperationTable

OPERATIONS = OperationTable(
    dialect={
        "AddRmsNorm": norm.lower_add_rms_norm,
        "CombineExperts": combine_experts.lower_combine_experts,
        "Embedding": dense.lower_embedding,
        "ExpertGlu": experts.lower_expert_glu,
        "ExpertLinear": experts.lower_expert_linear,
        "Linear": dense.lower_linear,
        "LinearGlu": dense.lower_linear_glu,
        "RmsNorm": norm.lower_rms_norm,
        "RopeAttention": attention.lower_rope_attention,
        "Router": experts.lower_router,
    },
    index_dtype="int32",
)
"""What GPUs can do."""
