"""Lowers each operation of the dialect to kernels for GPUs."""

from ossc.compiler.backends.gpu.operations import combine_experts, dense, norm
from ossc.compiler.lowering.importer import OperationTable

OPERATIONS = OperationTable(
    dialect={
        "AddRmsNorm": norm.lower_add_rms_norm,
        "CombineExperts": combine_experts.lower_combine_experts,
        "Embedding": dense.lower_embedding,
        "Linear": dense.lower_linear,
        "LinearGlu": dense.lower_linear_glu,
        "RmsNorm": norm.lower_rms_norm,
    },
    index_dtype="int32",
)
"""What GPUs can do."""
