"""The model of ``tiny_plan`` for WebGPU: buffers of ``opencl_plan``, kernels by hand in WGSL."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from ossc.runtimes.manifest import BrowserEntry, HostEntry, TargetEntry
from ossc.runtimes.plan import ONE_GROUP, Device, DeviceKernel, Groups, Plan
from synthetic import opencl_plan
from synthetic.opencl_plan import EMBED, MEAN, MULTIPLY, ROUTE, ROWS, STORE
from synthetic.tiny_bundle import write_bundle
from synthetic.tiny_plan import CHUNK, HIDDEN, VOCAB

CODE = "kernels.wgsl.json"

DEVICE = Device(kind="webgpu")

WRITES = "read_write"


def wgsl(kernel: str, buffers: dict[str, tuple[str, str]], block: str, body: str, n: str) -> str:
    """A kernel as TVM writes them: buffers, a uniform with the last group, and a group's number.

    Args:
        kernel: Its name.
        buffers: Access and element type by name, in the order of the step.
        block: Size of a group.
        body: Statements; ``group`` is the group in x, ``local`` the place in it.
        n: Fields of the uniform before the last group.
    """
    lines = [
        f"@group(0) @binding({i}) var<storage, {access}> {name} : array<{kind}>;"
        for i, (name, (access, kind)) in enumerate(buffers.items())
    ]
    return "\n".join(
        [
            *lines,
            f"struct Scalars {{ {n} last : u32 }}",
            f"@group(0) @binding({len(buffers)}) var<uniform> scalars : Scalars;",
            f"var<workgroup> sums : array<f32, {2 * HIDDEN}>;",
            f"@compute @workgroup_size({block})",
            f"fn {kernel}(@builtin(workgroup_id) id : vec3<u32>,",
            "    @builtin(num_workgroups) grid : vec3<u32>,",
            "    @builtin(local_invocation_id) local : vec3<u32>) {",
            "  let group = id.z * grid.x + id.x;",
            "  if (group > scalars.last) { return; }",
            body,
            "}",
        ]
    )


N = "n : i32,"

KERNELS = {
    "test_embedding": wgsl(
        "test_embedding",
        {"ids": ("read", "i32"), "weights": ("read", "f32"), "embedded": (WRITES, "f32")},
        "64, 1, 1",
        f"""  let i = i32(group * 64 + local.x);
  if (i >= scalars.n * {HIDDEN}) {{ return; }}
  embedded[i] = weights[ids[i / {HIDDEN}] * {HIDDEN} + i % {HIDDEN}];""",
        N,
    ),
    "test_router": wgsl(
        "test_router",
        {"ids": ("read", "i32"), "indices": (WRITES, "i32")},
        "2, 1, 1",
        "  indices[id.y * 2 + local.x] = (ids[id.y] + i32(local.x)) % 4;",
        "",
    ),
    "test_store": wgsl(
        "test_store",
        {"embedded": (WRITES, "f32"), "positions": ("read", "i32"), "cache": (WRITES, "f32")},
        "8, 1, 1",
        f"""  let column = i32(group * 8 + local.x);
  cache[positions[id.y] * {HIDDEN} + column] = embedded[i32(id.y) * {HIDDEN} + column];""",
        "",
    ),
    "test_mean": wgsl(
        "test_mean",
        {"positions": ("read", "i32"), "cache": (WRITES, "f32"), "hidden": (WRITES, "f32")},
        f"{HIDDEN}, 2, 1",
        f"""  var sum : f32 = 0;
  for (var p = i32(local.y); p <= positions[group]; p += 2) {{
    sum += cache[p * {HIDDEN} + i32(local.x)];
  }}
  sums[2 * local.x + local.y] = sum;
  workgroupBarrier();
  if (local.y > 0) {{ return; }}
  let count = f32(positions[group] + 1);
  hidden[group * {HIDDEN} + local.x] = (sum + sums[2 * local.x + 1]) / count;""",
        "",
    ),
    "test_head": wgsl(
        "test_head",
        {"hidden": (WRITES, "f32"), "weights": ("read", "f32"), "logits": (WRITES, "f32")},
        "8, 2, 1",
        f"""  let word = group * 8 + local.x;
  let row = id.y * 2 + local.y;
  if (i32(row) >= scalars.n) {{ return; }}
  var sum : f32 = 0;
  for (var i : u32 = 0; i < {HIDDEN}; i++) {{
    sum += hidden[row * {HIDDEN} + i] * weights[word * {HIDDEN} + i];
  }}
  logits[row * {VOCAB} + word] = sum;""",
        N,
    ),
}
"""WGSL by name."""


def on_web(step: DeviceKernel, **changes: Any) -> DeviceKernel:
    """The step with the kernel in WGSL."""
    return replace(step, code=CODE, **changes)


STEPS = (
    on_web(EMBED),
    on_web(ROUTE),
    on_web(STORE, grid=(Groups(fixed=HIDDEN, divisor=8), ROWS, ONE_GROUP)),
    on_web(MEAN),
)
HEADS = tuple(
    replace(opencl_plan.head(max_tokens), steps=(on_web(MULTIPLY),)) for max_tokens in (1, 16)
)
BODIES = (
    replace(opencl_plan.body("decode", 1), steps=STEPS),
    replace(opencl_plan.body("prefill", CHUNK), steps=STEPS),
)
TARGET = TargetEntry(
    name="webgpu",
    kind="webgpu",
    host=HostEntry(arch="browser", cpu_features=()),
    device=BrowserEntry(),
)


def make_web_plan(**changes: Any) -> Plan:
    """The plan, with fields replaced."""
    fields: dict[str, Any] = {"devices": (DEVICE,), "segments": (*BODIES, *HEADS)}
    return opencl_plan.make_opencl_plan(**(fields | changes))


def code_file(kernels: dict[str, str]) -> bytes:
    """The file with the kernels."""
    return json.dumps(kernels).encode()


def write_web_bundle(
    directory: Path, *, plan: bytes | None = None, code: bytes | None = None, **changes: object
) -> Path:
    """Write a bundle that a browser runs, with fields of the manifest replaced."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / CODE).write_bytes(code_file(KERNELS) if code is None else code)
    plan = make_web_plan().to_bytes() if plan is None else plan
    return write_bundle(directory, plan=plan, **({"target": TARGET} | changes))
