"""Lowers each operation of the dialect to kernels for CPUs."""

from ossc.compiler.backends.cpu.operations import attention, dense, experts, norm
from ossc.compiler.lowering.importer import OperationTable

OPERATIONS = OperationTable(
    weighted={
        "Embedding": dense.lower_embedding,
        "ExpertLinear": experts.lower_expert_linear,
        "ExpertSwiGlu": experts.lower_expert_swiglu,
        "Linear": dense.lower_linear,
        "MatMul": dense.lower_mat_mul,
    },
    plain={
        "AddRmsNorm": norm.lower_add_rms_norm,
        "CombineExperts": experts.lower_combine_experts,
        "Router": experts.lower_router,
        "SinkAttention": attention.lower_sink_attention,
    },
    standard={"RMSNormalization": norm.lower_rms_norm},
)
"""What CPUs can do."""
