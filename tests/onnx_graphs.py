"""Small ONNX graphs for tests, written as text or exported from tiny checkpoints."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from ossc.compiler.dialect.call import calls_in
from ossc.compiler.dialect.functions import attach_functions
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.oracle.session import ort_session
from synthetic import SyntheticShape, make_checkpoint
from synthetic.layout import Experts, FloatTypes

OVERLOAD = re.compile(r"(ossc\.\w+)\[([^]]*)\]")


def parse_model(text: str, **initializers: NDArray[Any]) -> ir.Model:
    """Read a graph in ONNX's textual syntax, and give it initializers and functions.

    Args:
        text: ``(inputs) => (outputs) { nodes }``; a node of the dialect is ``ossc.Name[overload]``.
        initializers: By name; ``__`` in it stands for ``.``.
    """
    header = '<ir_version: 12, opset_import: ["": 24, "ossc": 1]> graph '
    text, overloads = OVERLOAD.sub(r"\1", text), OVERLOAD.findall(text)
    proto = onnx.parser.parse_model(header + text)
    for node, (_, overload) in zip(
        (node for node in proto.graph.node if node.domain), overloads, strict=True
    ):
        node.overload = overload
    model = ir.from_proto(proto)
    values = {value.name: value for node in model.graph for value in node.inputs if value}
    for key, array in initializers.items():
        name = key.replace("__", ".")
        value = values.get(key) or ir.Value(name=name)
        value.name = name
        value.const_value = ir.Tensor(array, name=name)
        value.shape = ir.Shape(array.shape)
        value.dtype = value.const_value.dtype
        model.graph.register_initializer(value)
    attach_functions(model)
    return model


def edited(text: str, *edits: tuple[str, str]) -> str:
    """Return a graph with the first occurrence of each old text replaced by the new one."""
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def op_types(model: ir.Model) -> Counter[str]:
    """Count the operators of a graph, each with its overload if it has one."""
    names = (
        f"{node.op_type}[{node.overload}]" if node.overload else node.op_type
        for node in model.graph
    )
    return Counter(names)


def node_named(model: ir.Model, name: str) -> ir.Node:
    """Return the node of a name."""
    return next(node for node in model.graph if node.name == name)


def run_model(model: ir.Model, **feeds: NDArray[Any]) -> list[NDArray[Any]]:
    """Run a graph in onnxruntime."""
    return ort_session(model).run(None, feeds)


def random_f32(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    """Return normally distributed numbers."""
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def export_tiny(
    path: Path,
    shape: SyntheticShape | None = None,
    experts: Experts = "mxfp4",
    floats: FloatTypes = (),
) -> ir.Model:
    """Write a synthetic checkpoint and export it."""
    make_checkpoint(path, shape, experts=experts, floats=floats)
    return SourceModel.open(path).export()


def weight_schemes(model: ir.Model) -> dict[str, str]:
    """Return the format of every weight that a plan can change, by the name of its node."""
    calls = calls_in(model)
    return {call.name: call.format.name for call in calls if call.format and call.tensor_class}
