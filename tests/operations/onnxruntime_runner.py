"""Runs a node's body in onnxruntime."""

from operations.case import Arrays, Case
from ossc.compiler.oracle.session import ort_session


def run(case: Case, inputs: Arrays) -> Arrays:
    """Return the outputs of a case, by name."""
    session = ort_session(case.model(inputs))
    feeds = {name: array for name, array in inputs.items() if not case.is_constant(name)}
    names = [name for name, _ in case.definition.outputs]
    return dict(zip(names, session.run(names, feeds), strict=True))
