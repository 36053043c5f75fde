"""Every kernel of two tiny models, compiled for every architecture: what NVIDIA's tools say of it.

Nothing of it runs: there is no GPU.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cuda_code import read_instructions, read_usage, require_nvrtc
from family_models import CASES
from ossc.compiler.backends.cuda.backend import BACKEND
from ossc.compiler.backends.cuda.headers import HEADERS
from ossc.compiler.backends.cuda.launch_bounds import WORK_ITEMS, with_least_groups
from ossc.compiler.backends.cuda.nvrtc import compile_cuda
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.order import Order
from ossc.compiler.pipeline import quantized_model
from ossc.compiler.recipe import Recipe
from ossc.runtimes.plan import DeviceKernel
from ossc.targets.cuda import TARGETS
from synthetic import SyntheticShape, make_checkpoint

ARCHITECTURES = [target.device.architecture for target in TARGETS]

STRICTEST = "sm_90"
"""Whose compiler keeps numbers in memory where it may; for it, the kernels of all types of KV
caches are looked at, and for the others those of one type."""

MAX_REGISTERS = 65536 // WORK_ITEMS

LARGE_ANGLES = "tir_sin", "tir_cos"
"""NVIDIA's sinf and cosf keep digits of π in an array for angles beyond 10⁵."""


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """A model's kernels."""

    code: dict[str, str]
    """CUDA, by the name of the file that it becomes; one of each type of KV caches among them."""
    decode: set[str]
    """The kernels of a token's steps."""

    def sources(self, architecture: str) -> str:
        """Return what is compiled for an architecture, as one program."""
        files = (
            sorted(self.code)
            if architecture == STRICTEST
            else ["kernels.cubin", "kernels.f32.cubin"]
        )
        return with_least_groups("\n".join(self.code[file] for file in files))


def lower(model: Path, quant: str) -> Lowered:
    recipe = Recipe(model=model, target="cuda:sm_87", quant=quant, prefill_chunk=64)
    order = Order.of(recipe)
    source = SourceModel.open(order.model)
    lowered = BACKEND.lower(quantized_model(source, order.plan), order.options(source.config))
    steps = [
        step
        for segment in lowered.plan.segments
        if segment.max_tokens == 1
        for step in segment.steps
        if isinstance(step, DeviceKernel)
    ]
    return Lowered(code=lowered.code, decode={step.kernel for step in steps})


@pytest.fixture(scope="module", params=["gpt-oss", "llama"])
def lowered(request, tmp_path_factory):
    """Mixture of experts with sinks and windows; dense with other schemes."""
    require_nvrtc()
    folder = tmp_path_factory.mktemp("model")
    if request.param == "gpt-oss":
        make_checkpoint(folder, SyntheticShape())
        return lower(folder, "default")
    return lower(replace(CASES["llama-tied"], dtype="float16").make(folder), "small")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_kernels_keep_all_in_registers(lowered, architecture, tmp_path):
    cubin = tmp_path / "kernels.cubin"
    cubin.write_bytes(compile_cuda(lowered.sources(architecture), architecture, HEADERS).cubin)
    usage = read_usage(cubin)
    assert lowered.decode <= usage.keys()
    assert len(usage) > len(lowered.decode)
    for name, used in usage.items():
        assert used.local_bytes == 0, name
        assert used.registers <= MAX_REGISTERS, (name, used)
        assert used.stack_bytes == 0 or any(part in name for part in LARGE_ANGLES), (name, used)
    if architecture == STRICTEST:
        instructions = read_instructions(cubin)
        assert instructions.keys() == usage.keys()
        for name, found in instructions.items():
            assert any(each.startswith("LDG") for each in found), name
            in_memory = {each for each in found if each.startswith(("LDL", "STL"))}
            assert not in_memory or any(part in name for part in LARGE_ANGLES), (name, in_memory)


def test_the_functions_that_the_plan_names_are_in_its_files(lowered):
    for name in lowered.decode:
        assert any(f" {name}(" in text for text in lowered.code.values())
