"""A graph in standard operators only."""

import onnx_ir as ir
from onnx_ir.passes.common import InlinePass

from ossc.compiler.dialect import DOMAIN

_MODULE = "ossc.module"
"""Metadata of a node: the node of the dialect of whose body it is."""


def inlined(model: ir.Model) -> ir.Model:
    """Return a copy in which bodies stand in the place of the dialect's nodes.

    Nodes and values are named as the module that they compute, and numbered.
    """
    copy = model.clone()
    for node in copy.graph:
        if node.domain == DOMAIN:
            node.metadata_props[_MODULE] = node.name or ""
    InlinePass()(copy)
    copy.graph.opset_imports.pop(DOMAIN, None)
    interface = {id(value) for value in copy.graph.outputs}
    for index, node in enumerate(copy.graph):
        module = node.metadata_props.pop(_MODULE, None)
        if module is None:
            continue
        node.name = f"{module}/{node.op_type}_{index}"
        for at, value in enumerate(node.outputs):
            if id(value) not in interface:
                value.name = f"{node.name}:{at}" if at else node.name
    return copy
