"""The GPUs' kernels as OpenCL C: one node through lowering, and its steps run by a CPU's driver."""

import pytest

from operations.cases import CASES
from operations.conformance import BackendUnderTest
from operations.gpu_device import find_gpu
from operations.node_comparison import compare, compare_over_cache, options
from operations.test_cpu import CACHES, STEPS

GPU = BackendUnderTest(
    name="gpu",
    unsupported={
        "Rope/*": "queries and keys are rotated where they are stored: FuseRopeAttention",
        "Attention/*": "attention has kernels with the rotation before it: FuseRopeAttention",
        "Glu/*": "a gate has kernels with the product before it: FuseGlu",
        "ExpertLinear/*transposed*": "kernels read rows: TransposeExperts",
        "ExpertLinear/*shared*": "one vector for all experts of a token has kernels with a gate "
        "after the product: FuseGlu",
        "Expert*/*+*": "experts in several schemes have kernels for CPUs alone",
    },
)


DRIVER = "rusticl"
"""It builds kernels ten times as fast as PoCL, which whole models run on in the tests."""


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.operation != "RopeAttention"], ids=lambda case: case.id
)
def test_a_node_computes_its_operation(case):
    GPU.judge(case, lambda: compare(case, device=find_gpu(DRIVER)))


@pytest.mark.parametrize(("case", "kv"), CACHES)
def test_attention_sees_the_cache_that_the_calls_before_it_left(case, kv):
    device = find_gpu(DRIVER)
    GPU.judge(case, lambda: compare_over_cache(case, options(kv=kv), STEPS, device))


def test_every_pattern_is_of_a_case():
    GPU.check_patterns(CASES)
