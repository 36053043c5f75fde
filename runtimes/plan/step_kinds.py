"""The kinds of steps, and how a step of any kind lies in ``plan.bin``."""

from ossc.runtimes.plan.checks import require
from ossc.runtimes.plan.device_kernel import DeviceKernel
from ossc.runtimes.plan.fields import PlanReader, PlanWriter
from ossc.runtimes.plan.host_kernel import HostKernel

Step = HostKernel | DeviceKernel
"""A step of one of the kinds."""

_KINDS: dict[int, type[Step]] = {HostKernel.KIND: HostKernel, DeviceKernel.KIND: DeviceKernel}

_RESERVED = {2: "graph", 3: "copy", 4: "fetch experts"}
"""Kinds of the format that nothing here runs; a plan with one is refused by its name."""


def write_step(step: Step, writer: PlanWriter) -> None:
    """Append a step to a plan.bin."""
    body = PlanWriter()
    body.put_text(step.label)
    body.put("iI", step.layer, len(step.tensors))
    body.put(f"{len(step.tensors)}I", *step.tensors)
    step.write_part(body)
    data = body.to_bytes()
    writer.put("BI", step.KIND, len(data))
    writer.put_bytes(data)


def read_step(reader: PlanReader) -> Step:
    """Take a step from a plan.bin.

    Raises:
        BundleError: It is not valid, or of a kind that nothing here runs.
    """
    kind, length = reader.take("BI")
    name = _RESERVED.get(kind, f"a step of kind {kind}")
    require(kind in _KINDS, f"it has a step of the kind {name!r}, which this ossc cannot run")
    body = PlanReader(reader.take_bytes(length))
    label = body.take_text()
    layer, n_tensors = body.take("iI")
    fields = {"label": label, "layer": layer, "tensors": body.take(f"{n_tensors}I")}
    step = _KINDS[kind].read_part(body, fields)
    body.finish()
    return step
