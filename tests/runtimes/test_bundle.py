"""Opening a bundle: manifest, files and plan have to agree."""

from dataclasses import replace

import pytest

from ossc.runtimes.bundle import Bundle
from ossc.runtimes.manifest import FileEntry
from ossc.targets.errors import BundleError
from synthetic.opencl_plan import EMBED
from synthetic.tiny_plan import WEIGHTS_BYTES, body, head, make_manifest, make_plan, role_of


def write_bundle(directory, plan=None, weights=bytes(WEIGHTS_BYTES), code=None, **changes):
    files = {"plan.bin": (plan or make_plan()).to_bytes(), "weights.bin": weights} | (code or {})
    for name, data in files.items():
        (directory / name).write_bytes(data)
    entries = {name: FileEntry.of(role_of(name), data) for name, data in files.items()}
    make_manifest(entries, **changes).write(directory)
    return directory


def test_a_bundle_opens_with_its_manifest_and_plan(tmp_path):
    bundle = Bundle.open(write_bundle(tmp_path), hash_weights=True, only_listed=True)
    assert bundle.plan == make_plan()
    assert bundle.manifest.plan_abi_version == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"context": 25}, "25 for context and the plan 24", id="context"),
        pytest.param({"prefill_chunk": 8}, "8 for prefill_chunk", id="chunk"),
        pytest.param({"plan_abi_version": 0}, "0 for plan_abi_version", id="abi"),
        pytest.param({"weights": bytes(64)}, r"64 for the size of weights.bin", id="weights"),
    ],
)
def test_a_manifest_of_another_plan_is_refused(tmp_path, changes, message):
    with pytest.raises(BundleError, match=message):
        Bundle.open(write_bundle(tmp_path, **changes))


def test_code_that_the_plan_names_is_listed_as_code(tmp_path):
    plan = make_plan(
        segments=(replace(body("decode", 1), steps=(EMBED,)), body("prefill", 4), head(1))
    )
    code = {EMBED.code: b"code"}
    assert Bundle.open(write_bundle(tmp_path, plan=plan, code=code)).plan == plan
    with pytest.raises(
        BundleError, match=r"says \[\] for code of the plan and the plan \['kernels.cl'\]"
    ):
        Bundle.open(write_bundle(tmp_path, plan=plan))
