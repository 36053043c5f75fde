"""The GPUs' kernels: for each operation the first that can."""

from ossc.compiler.backends.gpu.kernels.embedding import embedding
from ossc.compiler.backends.gpu.kernels.experts.combine_experts import combine_experts
from ossc.compiler.backends.gpu.kernels.products.linear import linear
from ossc.compiler.backends.gpu.kernels.products.linear_glu import linear_glu
from ossc.compiler.backends.gpu.kernels.rms_norm import rms_norm
from ossc.compiler.lowering.choice import Candidate, KernelTable

KERNELS = KernelTable(
    (
        Candidate(operation="AddRmsNorm", build=rms_norm),
        Candidate(operation="CombineExperts", build=combine_experts),
        Candidate(operation="Embedding", build=embedding),
        Candidate(operation="Linear", build=linear),
        Candidate(operation="LinearGlu", build=linear_glu),
        Candidate(operation="RmsNorm", build=rms_norm),
    )
)
