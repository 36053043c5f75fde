"""The execution plan of a bundle, ``plan.bin``: which steps run in which order on which buffers.

The C runtime reads the same bytes (``runtimes/c/src/bundle``); ``docs/bundle-format.md`` specifies
them. Every value is checked when it is made, so a plan that exists is one that the runtime accepts.
"""

from ossc.runtimes.plan.checks import PLAN_ABI_VERSION
from ossc.runtimes.plan.device_kernel import ONE_GROUP, DeviceKernel, Groups
from ossc.runtimes.plan.host_kernel import HostKernel
from ossc.runtimes.plan.plan import Plan
from ossc.runtimes.plan.segment import Binding, Segment, SegmentName
from ossc.runtimes.plan.space import Device, Space, Use
from ossc.runtimes.plan.step import MAX_STEP_TENSORS
from ossc.runtimes.plan.step_kinds import Step
from ossc.runtimes.plan.tensor import N_TOKENS, DType, PlanTensor, Role

__all__ = [
    "MAX_STEP_TENSORS",
    "N_TOKENS",
    "ONE_GROUP",
    "PLAN_ABI_VERSION",
    "Binding",
    "DType",
    "Device",
    "DeviceKernel",
    "Groups",
    "HostKernel",
    "Plan",
    "PlanTensor",
    "Role",
    "Segment",
    "SegmentName",
    "Space",
    "Step",
    "Use",
]
