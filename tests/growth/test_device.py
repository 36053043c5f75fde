"""docs/adding-a-device.md, followed: a bundle for its target, and what its backend refuses."""

import warnings
from pathlib import Path

import pytest

from family_models import FamilyModel
from growth.page import every_step, followed
from ossc.compiler.backends import backend_kinds, find_backend
from ossc.compiler.families.source_model import SourceModel
from ossc.compiler.order import Order
from ossc.compiler.pipeline import compile_model, quantized_model
from ossc.compiler.recipe import Recipe
from ossc.runtimes.kv_type import PLAN_NAMES
from ossc.runtimes.manifest import Manifest
from ossc.runtimes.plan import Plan
from ossc.targets import all_targets
from ossc.targets.errors import LoweringError, OsscError
from synthetic import SyntheticShape, make_checkpoint

PAGE = "adding-a-device"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    with warnings.catch_warnings(action="ignore"):
        return FamilyModel(family="llama").make(tmp_path_factory.mktemp("model"))


def use(checkpoint: Path, folder: Path) -> None:
    """Compile a dense model for the target, and read what the bundle says of it."""
    bundle = compile_model(Recipe(model=checkpoint, target="toy:two", out=folder / "bundle"))
    manifest = Manifest.read(bundle)
    assert (manifest.target.name, manifest.target.kind) == ("toy:two", "toy")
    assert manifest.files["kernels.toy"].role == "code"
    plans = [Plan.from_bytes((bundle / name).read_bytes()) for name in PLAN_NAMES.values()]
    assert {device.kind for plan in plans for device in plan.devices} == {"toy"}
    names = (bundle / "kernels.toy").read_text(encoding="utf-8").splitlines()
    segments = [segment for plan in plans for segment in plan.segments]
    assert {step.kernel for segment in segments for step in segment.steps} == set(names)
    assert all(tensor.offset_bytes % 512 == 0 for plan in plans for tensor in plan.tensors)


def test_a_bundle_is_compiled_for_the_target_of_the_page(checkpoint, tmp_path):
    with followed(PAGE, tmp_path):
        assert find_backend("toy").kind == "toy"
        use(checkpoint, tmp_path)
    assert "toy" not in backend_kinds()
    assert "toy:two" not in {target.name for target in all_targets()}


def test_what_the_backend_of_the_page_lacks_is_refused_by_name(tmp_path):
    model = make_checkpoint(tmp_path / "model", SyntheticShape(num_hidden_layers=1))
    with followed(PAGE, tmp_path / "page"):
        order = Order.of(Recipe(model=model, target="toy:two"))
        source = SourceModel.open(model)
        graph = quantized_model(source, order.plan)
        with pytest.raises(LoweringError, match=r"The operation ExpertGlu of .* has no lowering"):
            find_backend("toy").lower(graph, order.options(source.config))


@every_step(PAGE)
def test_without_one_of_the_steps_there_is_no_such_device(checkpoint, tmp_path, step):
    with (
        pytest.raises((ImportError, AttributeError, OsscError)),
        followed(PAGE, tmp_path / "page", without=step),
    ):
        use(checkpoint, tmp_path)
