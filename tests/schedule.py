"""Which tests are slow, and which ones a worker of pytest-xdist does in turn.

pytest-xdist 3.8 writes the groups of its mark ``xdist_group`` into the tests' ids, which pytest 9
does not let it, and says nothing; so what belongs together is told from the ids here.
"""

import os
import re

import pytest
from xdist.scheduler import LoadScopeScheduling

ONE_WORKER = {
    "compiler/backends/cpu/kernels/attention/test_attention.py": "layers of the same shape",
    "compiler/backends/cpu/kernels/products/test_linear.py": "matrices of the same shape",
    "compiler/backends/cuda/test_machine_code.py": "models that are lowered",
    "compiler/end_to_end/test_changed_bytes.py": "a program with sanitizers",
    "compiler/end_to_end/test_interruptions.py": "a process that is interrupted",
    "compiler/end_to_end/test_kv_types.py": "the logits of each type",
    "compiler/end_to_end/test_opencl.py": "bundles for OpenCL, and what a driver builds of them",
    "compiler/end_to_end/test_regression_gate.py": "a slow bundle",
    "compiler/end_to_end/test_same_bytes.py": "bundles that are compiled once more",
    "compiler/end_to_end/test_webgpu.py": "a browser, and models in it",
    "growth/test_device.py": "a model of transformers",
    "growth/test_family.py": "a model of transformers and its logits",
    "growth/test_storage.py": "a model of transformers and its logits",
    "operations/test_webgpu.py": "a browser, and kernels in it",
    "runtimes/profile/places/test_ssh_place.py": "a server",
    "runtimes/profile/report/test_html_in_chromium.py": "a browser",
    "runtimes/test_32_bits.py": "programs for another architecture",
    "runtimes/test_c_programs.py": "programs with sanitizers",
    "runtimes/web/test_web_page.py": "a browser",
    "runtimes/web/test_web_plan.py": "a browser",
    "runtimes/web/test_web_session.py": "a browser",
    "sample_model/test_compiled.py": "bundles of the sample model",
}
"""Files whose tests share what takes seconds to make, and what that is."""

KERNELS = "compiler/backends/cpu/kernels/"
"""Tests of kernels that differ in numbers alone mostly call the same kernel."""

SLOW = {
    "compiler/backends/cuda/test_machine_code.py": "kernels are compiled for five GPUs",
    "compiler/backends/gpu/kernels/": "a driver builds kernels",
    "compiler/end_to_end/": "bundles are compiled, and models run in transformers",
    "operations/test_opencl.py": "a driver builds kernels",
    "sample_model/test_compiled.py": "bundles are compiled, and read a text",
}
"""Folders and files whose tests take seconds each, and why."""

QUICK_ISA = "avx2"
"""Tests of kernels with the bodies of another instruction set are slow together."""


class Schedule(LoadScopeScheduling):
    """Gives a worker more tests when it has two left, in the order of the collection."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


def scope(nodeid: str) -> str:
    """Name what is given to a worker: tests of one scope are done by the same one, in turn."""
    path = path_of(nodeid)
    if path in ONE_WORKER:
        return path
    return re.sub(r"\b\d+\b", "", nodeid) if path.startswith(KERNELS) else nodeid


def path_of(nodeid: str) -> str:
    """Return the path of a test's file in the folder of the tests."""
    return nodeid.partition("::")[0].removeprefix("tests/")


def mark_slow_tests(items: list[pytest.Item]) -> None:
    """Mark tests by where they are, and let workers begin with the slow ones.

    Files that one worker does follow them, so that none is alone with much at the end.
    """
    for item in items:
        if is_slow(item):
            item.add_marker("slow")
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=_rank)


def _rank(item: pytest.Item) -> tuple[bool, bool]:
    """Return what tests are sorted by."""
    return item.get_closest_marker("slow") is None, path_of(item.nodeid) not in ONE_WORKER


def is_slow(item: pytest.Item) -> bool:
    """Whether a test is one of those that ``scripts/test --quick`` leaves out."""
    path = path_of(item.nodeid)
    if path.startswith(KERNELS):
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        return parameters.get("isa", QUICK_ISA) != QUICK_ISA
    return path.startswith(tuple(SLOW))
