"""The model of ``tiny_plan`` for an OpenCL device: the same buffers, kernels in ``KERNELS``."""

from typing import Any

from ossc.runtimes.plan import (
    ONE_GROUP,
    Binding,
    Device,
    DeviceKernel,
    DType,
    Groups,
    Plan,
    Role,
    Segment,
    SegmentName,
    Space,
    Use,
)
from synthetic.tiny_plan import ARENA as CPU_ARENA
from synthetic.tiny_plan import (
    CACHE,
    CHUNK,
    CONTEXT,
    EMBEDDED,
    HIDDEN,
    HIDDEN_IN,
    HIDDEN_OUT,
    IDS,
    LOGITS,
    POSITIONS,
    ROUTER,
    VOCAB,
    make_plan,
    tensor,
)
from synthetic.tiny_plan import STATE as CPU_STATE
from synthetic.tiny_plan import WEIGHTS as CPU_WEIGHTS

CODE = "kernels.cl"
ALIGNMENT_BYTES = 512

DEVICE = Device(kind="opencl")


def aligned(space: Space) -> Space:
    """The space, for a device whose memory wants more than a CPU's."""
    return Space(
        use=space.use,
        size_bytes=space.size_bytes,
        alignment_bytes=ALIGNMENT_BYTES,
        file=space.file,
    )


WEIGHTS, STATE, ARENA = map(aligned, (CPU_WEIGHTS, CPU_STATE, CPU_ARENA))

TENSORS = (
    tensor(Use.WEIGHTS, 0, DType.F32, VOCAB, HIDDEN, role=Role.WEIGHTS),
    tensor(Use.STATE, 0, DType.I32, -1, role=Role.TOKEN_IDS),
    tensor(Use.STATE, 512, DType.I32, -1, role=Role.POSITIONS),
    tensor(Use.STATE, 1024, DType.F32, -1, HIDDEN, role=Role.HIDDEN),  # of decode and prefill
    tensor(Use.STATE, 1536, DType.I32, -1, 2, role=Role.EXPERT_INDICES),
    tensor(Use.STATE, 2048, DType.F32, -1, HIDDEN, role=Role.HIDDEN),  # of the heads
    tensor(Use.STATE, 3072, DType.F32, -1, VOCAB, role=Role.LOGITS),
    tensor(Use.STATE, 5632, DType.F32, CONTEXT, HIDDEN, role=Role.CACHE),
    tensor(Use.ARENA, 0, DType.F32, -1, HIDDEN),  # embedded
)
"""In the order of those of ``tiny_plan``."""

KERNELS = f"""
/* values of `embedded` after another, in groups of 64; the last group has work-items too many */
__kernel void test_embedding(__global const int* ids, __global const float* weights,
                             __global float* embedded, int n) {{
  int i = get_global_id(0);
  if (i < n * {HIDDEN}) embedded[i] = weights[ids[i / {HIDDEN}] * {HIDDEN} + i % {HIDDEN}];
}}

/* a group is a row, a work-item a slot */
__kernel void test_router(__global const int* ids, __global int* indices) {{
  int row = get_group_id(1), slot = get_local_id(0);
  indices[row * 2 + slot] = (ids[row] + slot) % 4;
}}

/* a group is eight values of a row */
__kernel void test_store(__global const float* embedded, __global const int* positions,
                         __global float* cache) {{
  int column = get_global_id(0), row = get_group_id(2);
  cache[positions[row] * {HIDDEN} + column] = embedded[row * {HIDDEN} + column];
}}

/* a group is a row; its work-items share their sums */
__kernel void test_mean(__global const int* positions, __global const float* cache,
                        __global float* hidden) {{
  __local float sums[{HIDDEN}][2];
  int column = get_local_id(0), part = get_local_id(1), row = get_group_id(0);
  float sum = 0;
  for (int p = part; p <= positions[row]; p += 2) sum += cache[p * {HIDDEN} + column];
  sums[column][part] = sum;
  barrier(CLK_LOCAL_MEM_FENCE);
  if (part > 0) return;
  hidden[row * {HIDDEN} + column] = (sum + sums[column][1]) / (positions[row] + 1);
}}

/* a work-item is a word of a row */
__kernel void test_head(__global const float* hidden, __global const float* weights,
                        __global float* logits, int n) {{
  int word = get_global_id(0), row = get_global_id(1);
  if (row >= n) return;
  hidden += row * {HIDDEN}, weights += word * {HIDDEN};
  float sum = 0;
  for (int i = 0; i < {HIDDEN}; ++i) sum += hidden[i] * weights[i];
  logits[row * {VOCAB} + word] = sum;
}}
"""


def step(
    kernel: str,
    *tensors: int,
    grid: tuple[Groups, Groups, Groups],
    block: tuple[int, int, int] = (1, 1, 1),
    takes_rows: bool = False,
) -> DeviceKernel:
    """A launch of a function of the code."""
    return DeviceKernel(
        label=f"{kernel} of the test",
        layer=0,
        tensors=tensors,
        code=CODE,
        kernel=kernel,
        takes_rows=takes_rows,
        grid=grid,
        block=block,
    )


ROWS = Groups(per_token=1)

EMBED = step(
    "test_embedding",
    IDS,
    0,
    EMBEDDED,
    grid=(Groups(per_token=HIDDEN, divisor=64), ONE_GROUP, ONE_GROUP),
    block=(64, 1, 1),
    takes_rows=True,
)
ROUTE = step("test_router", IDS, ROUTER, grid=(ONE_GROUP, ROWS, ONE_GROUP), block=(2, 1, 1))
STORE = step(
    "test_store",
    EMBEDDED,
    POSITIONS,
    CACHE,
    grid=(Groups(fixed=HIDDEN, divisor=8), ONE_GROUP, ROWS),
    block=(8, 1, 1),
)
MEAN = step(
    "test_mean",
    POSITIONS,
    CACHE,
    HIDDEN_OUT,
    grid=(ROWS, ONE_GROUP, ONE_GROUP),
    block=(HIDDEN, 2, 1),
)
MULTIPLY = step(
    "test_head",
    HIDDEN_IN,
    0,
    LOGITS,
    grid=(Groups(fixed=VOCAB, divisor=8), Groups(fixed=1, per_token=1, divisor=2), ONE_GROUP),
    block=(8, 2, 1),
    takes_rows=True,
)


def body(name: SegmentName, max_tokens: int) -> Segment:
    """Embeds, routes, and sums each token with all before it."""
    return Segment(
        name=name,
        max_tokens=max_tokens,
        inputs=(Binding(tensor=IDS), Binding(tensor=POSITIONS)),
        outputs=(Binding(tensor=HIDDEN_OUT), Binding(tensor=ROUTER, layer=0)),
        steps=(EMBED, ROUTE, STORE, MEAN),
    )


def head(max_tokens: int) -> Segment:
    """The product of hidden rows and the embedding."""
    return Segment(
        name="head",
        max_tokens=max_tokens,
        inputs=(Binding(tensor=HIDDEN_IN),),
        outputs=(Binding(tensor=LOGITS),),
        steps=(MULTIPLY,),
    )


def make_opencl_plan(**changes: Any) -> Plan:
    """The plan, with fields replaced."""
    fields: dict[str, Any] = {
        "devices": (DEVICE,),
        "spaces": (WEIGHTS, STATE, ARENA),
        "tensors": TENSORS,
        "segments": (body("decode", 1), body("prefill", CHUNK), head(1), head(16)),
    }
    return make_plan(**(fields | changes))
