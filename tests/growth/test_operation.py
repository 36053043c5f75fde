"""docs/adding-an-operation.md, followed: its operation in onnxruntime and on this CPU."""

import re

import pytest

from growth.page import DOCS, every_step, followed
from operations import conformance
from operations.conformance import TOKENS, assert_close, expected
from operations.node_comparison import compare
from operations.onnxruntime_runner import run
from operations.segment_runner import Cpu
from ossc.compiler.backends.cpu.operations import OPERATIONS
from ossc.compiler.dialect import all_operations, find_operation
from ossc.compiler.lowering.importer import OperationTable
from ossc.targets.errors import LoweringError, OsscError
from tolerances import FUNCTION

PAGE = "adding-an-operation"
SECTION = re.compile(r"^```markdown docs/onnx-dialect.md\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def use(names: dict) -> None:
    """Compare both ways of running the operation with its reference."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(conformance.REFERENCES, "Softcap", names["softcap"])
        for case in names["CASES"]:
            for tokens in TOKENS:
                inputs = case.inputs(tokens)
                assert_close(run(case, inputs), expected(case, inputs), FUNCTION)
            with pytest.raises(LoweringError, match="Softcap of 'node' has no lowering"):
                compare(case)
            compare(case, device=Cpu(operations=table()))


def table() -> OperationTable:
    """Return the table of the CPU with the line of the page."""
    from ossc.compiler.backends.cpu.operations.softcap import lower_softcap

    return OperationTable(dialect={**OPERATIONS.dialect, "Softcap": lower_softcap})


def test_the_operation_of_the_page_is_computed_everywhere(tmp_path):
    with followed(PAGE, tmp_path) as names:
        use(names)
    assert "Softcap" not in all_operations()


def test_the_section_of_the_page_has_the_ports_of_its_operation(tmp_path):
    (section,) = SECTION.findall((DOCS / f"{PAGE}.md").read_text(encoding="utf-8"))
    with followed(PAGE, tmp_path):
        operation = find_operation("Softcap")
    assert section.startswith(f"### {operation.name}\n")
    for port, description in (*operation.inputs, *operation.outputs):
        assert f"`{port}` | {description} |" in section
    assert all(f"`{word}`" in section for word in operation.attributes)


@every_step(PAGE)
def test_without_one_of_the_steps_it_is_not_computed(tmp_path, step):
    with (
        pytest.raises((ImportError, NameError, KeyError, OsscError)),
        followed(PAGE, tmp_path, without=step) as names,
    ):
        use(names)
