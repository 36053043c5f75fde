"""Lowers each operation of the dialect to kernels for CPUs."""

from functools import partial

from ossc.compiler.backends.cpu.kernel_table import KERNELS
from ossc.compiler.backends.cpu.operations import attention, dense, experts
from ossc.compiler.lowering.importer import OperationTable
from ossc.compiler.lowering.operations.experts import lower_combine_experts, lower_router
from ossc.compiler.lowering.operations.norm import lower_add_rms_norm, lower_rms_norm

OPERATIONS = OperationTable(
    dialect={
        "AddRmsNorm": partial(lower_add_rms_norm, KERNELS),
        "CombineExperts": partial(lower_combine_experts, KERNELS),
        "Embedding": dense.lower_embedding,
        "ExpertGlu": experts.lower_expert_glu,
        "ExpertLinear": experts.lower_expert_linear,
        "Linear": dense.lower_linear,
        "LinearGlu": dense.lower_linear_glu,
        "RmsNorm": partial(lower_rms_norm, KERNELS),
        "RopeAttention": attention.lower_rope_attention,
        "Router": partial(lower_router, KERNELS, dense.product),
    },
)
"""What CPUs can do."""
