"""Every report has one case, and every case is of a report."""

import ast
import re
from pathlib import Path

from reports.table import REPORTS

HERE = Path(__file__).parent


def cases() -> list[str]:
    """Return ``<module>::<function>`` of every test beside this file."""
    return [
        f"{file.stem}::{node.name}"
        for file in sorted(HERE.glob("test_*.py"))
        if file.name != Path(__file__).name
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def test_every_report_has_one_case_and_every_case_a_report():
    assert sorted(report.test for report in REPORTS) == sorted(cases())


def test_the_threads_are_written_alike():
    pattern = re.compile(r"[\w.-]+/[\w.-]+#\d+")
    assert [each for report in REPORTS for each in report.seen if not pattern.fullmatch(each)] == []
    assert sum(bool(report.seen) for report in REPORTS) >= 40


def test_a_symptom_and_an_answer_are_a_line_each():
    for report in REPORTS:
        for text in (report.symptom, report.answer):
            assert 8 < len(text) < 100
            assert text == text.strip().rstrip(".")
