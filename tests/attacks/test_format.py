"""Every field of plan and manifest that names something: both readers refuse what they do not know.

The hashes are right each time, as whoever makes a bundle can make them.
"""

import copy
import json
import re

import pytest

from ossc.runtimes.manifest import Manifest
from ossc.runtimes.plan import ONE_GROUP, Binding, DType, Role
from synthetic.opencl_plan import EMBED
from synthetic.refused_bundle import READERS
from synthetic.tiny_bundle import weights, write_bundle
from synthetic.tiny_plan import (
    ARENA,
    CACHE,
    DEVICE,
    EMBEDDED,
    IDS,
    POSITIONS,
    ROUTER,
    STATE,
    TENSORS,
    WEIGHTS,
    body,
    head,
    make_plan,
    step,
)

ADVICE = re.compile(
    r"(compile|copy) .*again\.|compile the model for a CPU\.|the program of the same bundle\.|"
    r"give the directory of a complete bundle\."
)
UNUSED = (ONE_GROUP, ONE_GROUP)
DECODE, PREFILL = body("decode", 1), body("prefill", 4)


def forged(value, **changes):
    """A copy with other fields that nobody checked."""
    clone = copy.copy(value)
    for name, change in changes.items():
        object.__setattr__(clone, name, change)
    return clone


def devices(*kinds):
    return {"devices": tuple(forged(DEVICE, kind=kind) for kind in kinds)}


def spaces(weights=WEIGHTS, state=STATE, arena=ARENA):
    return {"spaces": (weights, state, arena)}


def tensors(index, **changes):
    changed = forged(TENSORS[index], **changes)
    return {"tensors": (*TENSORS[:index], changed, *TENSORS[index + 1 :])}


def segments(**changes):
    return {"segments": (forged(DECODE, **changes), PREFILL, head(1))}


def routed(*buffers, fixed=0):
    """A plan that calls the router with these buffers."""
    return segments(steps=(step("test_router", *buffers, fixed=fixed),))


def stored(**changes):
    """A plan that stores what was embedded, after that was forged."""
    stores = segments(steps=(step("test_store", EMBEDDED, POSITIONS, CACHE, per_token=1),))
    return stores | tensors(EMBEDDED, **changes)


OTHER_BUFFERS = r"test_\w+ other buffers than it takes"


@pytest.fixture(params=READERS.values(), ids=READERS)
def refusal(request, tiny_bundle, binaries):
    """Opens the bundle, which has to be refused with advice, and returns the reason."""

    def refuse():
        reason = request.param(tiny_bundle, binaries[1])
        assert ADVICE.search(reason), reason
        return reason

    return refuse


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"abi_version": 1}, "ABI version 1", id="abi"),
        pytest.param({"devices": ()}, "device", id="no-device"),
        pytest.param(devices(""), "kind", id="no-kind"),
        pytest.param(devices("CPU"), "kind", id="capitals"),
        pytest.param(devices("opencl"), "(contradict|the plan opencl)", id="another-device"),
        pytest.param(devices("cpu", "cpu"), "for 2 devices", id="two-devices"),
        pytest.param(devices(*["cpu"] * 17), "device", id="17-devices"),
        pytest.param(spaces(forged(WEIGHTS, use=3)), "use", id="pool"),
        pytest.param(spaces(forged(WEIGHTS, use=9)), "use", id="unknown-use"),
        pytest.param(spaces(forged(WEIGHTS, device=1)), "device", id="space-on-no-device"),
        pytest.param(spaces(forged(WEIGHTS, alignment_bytes=0)), "align", id="alignment-0"),
        pytest.param(spaces(forged(WEIGHTS, alignment_bytes=32)), "align", id="alignment-32"),
        pytest.param(spaces(forged(WEIGHTS, alignment_bytes=96)), "align", id="alignment-96"),
        pytest.param(spaces(forged(WEIGHTS, alignment_bytes=8192)), "align", id="alignment-8192"),
        pytest.param(
            spaces(state=forged(STATE, alignment_bytes=4096)),
            "(multiple of|unaligned)",
            id="tensors-less-aligned",
        ),
        pytest.param(spaces(forged(WEIGHTS, size_bytes=2**49)), "space", id="huge-space"),
        pytest.param(
            spaces(forged(WEIGHTS, size_bytes=4096)), "(contradict|weights)", id="other-size"
        ),
        pytest.param(spaces(forged(WEIGHTS, file="")), "weights lie in", id="no-file"),
        pytest.param(spaces(forged(WEIGHTS, file="../w")), "weights lie in", id="file-outside"),
        pytest.param(spaces(forged(WEIGHTS, file="other.bin")), "other.bin", id="file-not-listed"),
        pytest.param(
            spaces(forged(WEIGHTS, file="plan.bin")), "(plan.bin|files of weights)", id="plan-file"
        ),
        pytest.param(spaces(state=forged(STATE, file="x")), "file", id="file-of-a-state"),
        pytest.param(spaces(arena=WEIGHTS), "one file", id="file-twice"),
        pytest.param(tensors(EMBEDDED, space=3), "space", id="tensor-in-no-space"),
        pytest.param(tensors(EMBEDDED, role=14), "role", id="unknown-role"),
        pytest.param(tensors(EMBEDDED, role=Role.POSITIONS), "role", id="role-of-another-type"),
        pytest.param(tensors(EMBEDDED, role=Role.WEIGHTS), "role|space", id="weights-in-arena"),
        pytest.param(tensors(EMBEDDED, role=Role.CACHE), "cache|role", id="cache-in-the-arena"),
        pytest.param(tensors(0, role=Role.OTHER), "role|space", id="weights-of-no-role"),
        pytest.param(tensors(IDS, dtype=DType.I16), "role", id="narrow-ids"),
        pytest.param(tensors(IDS, role=Role.POSITIONS), "bound twice|there twice", id="no-ids"),
        pytest.param(
            segments(inputs=(Binding(tensor=IDS),)), "positions|unknown inputs", id="one-input"
        ),
        pytest.param(
            segments(outputs=(Binding(tensor=3), forged(Binding(tensor=4), layer=-2))),
            "layer",
            id="layer",
        ),
        pytest.param(
            segments(outputs=(Binding(tensor=3), Binding(tensor=4, layer=7))),
            "order|layer 0",
            id="another-layer",
        ),
        pytest.param(
            segments(outputs=(Binding(tensor=3, layer=2), Binding(tensor=4, layer=0))),
            "hidden|missing",
            id="hidden-of-a-layer",
        ),
        pytest.param(
            segments(outputs=(Binding(tensor=3), Binding(tensor=3, layer=2))),
            "hidden|order",
            id="two-hiddens",
        ),
        pytest.param(segments(outputs=(Binding(tensor=99),)), "tensor 99|not there", id="99"),
        pytest.param(
            segments(steps=(forged(step("test_router", 1, 4), ranged=2),)), "ranged", id="ranged"
        ),
        pytest.param(
            segments(steps=(step("no_such_kernel", 1, 4),)), "no_such_kernel", id="no-kernel"
        ),
        pytest.param(routed(IDS, ROUTER, ROUTER), OTHER_BUFFERS, id="one-buffer-more"),
        pytest.param(routed(IDS), OTHER_BUFFERS, id="one-buffer-less"),
        pytest.param(routed(ROUTER, IDS), OTHER_BUFFERS, id="swapped-buffers"),
        pytest.param(routed(IDS, ROUTER, fixed=1), OTHER_BUFFERS, id="ranged-kernel"),
        pytest.param(stored(dtype=DType.I32), OTHER_BUFFERS, id="another-type"),
        pytest.param(stored(shape=(-1, 8)), OTHER_BUFFERS, id="another-size"),
        pytest.param(stored(shape=(16, -1)), OTHER_BUFFERS, id="another-order"),
        pytest.param(stored(shape=(-1, 16, 1)), OTHER_BUFFERS, id="one-dimension-more"),
        pytest.param(stored(shape=(4, 16)), OTHER_BUFFERS, id="rows-that-differ"),
    ],
)
def test_a_plan_that_is_not_understood_is_refused(refusal, tiny_bundle, changes, reason):
    write_bundle(tiny_bundle, plan=forged(make_plan(), **changes).to_bytes())
    assert re.search(reason, refusal())


@pytest.mark.parametrize(
    ("kind", "name"),
    [(2, "graph"), (3, "copy"), (4, "fetch experts"), (77, "77")],
)
def test_a_step_of_another_kind_is_refused_by_its_name(refusal, tiny_bundle, kind, name):
    data = make_plan().to_bytes()
    place = data.index(b"test_router of the test") - 7
    write_bundle(tiny_bundle, plan=data[:place] + bytes([kind]) + data[place + 1 :])
    assert name in refusal()


@pytest.mark.parametrize("length", [0, 1, 40, 2**32 - 1])
def test_a_step_of_another_length_is_refused(refusal, tiny_bundle, length):
    data = make_plan().to_bytes()
    place = data.index(b"test_router of the test") - 6
    changed = length.to_bytes(4, "little")
    write_bundle(tiny_bundle, plan=data[:place] + changed + data[place + 4 :])
    assert "plan" in refusal()


def launches(**changes):
    """A plan with launches in the place of the first body's steps, one of them forged."""
    return segments(steps=(forged(EMBED, **changes),))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"code": "other.cl"}, "other.cl", id="file-not-listed"),
        pytest.param({"code": "plan.bin"}, "plan.bin", id="file-of-another-role"),
        pytest.param({"code": "../kernels.cl"}, "lies in", id="file-outside"),
        pytest.param({"code": ""}, "lies in", id="no-file"),
        pytest.param({"kernel": "a b"}, "(C name|name of a function)", id="kernel"),
        pytest.param({"takes_rows": 2}, "takes_rows|takes the rows", id="rows"),
        pytest.param({"grid": (forged(ONE_GROUP, divisor=0), *UNUSED)}, "by 0", id="divisor"),
        pytest.param({"grid": (forged(ONE_GROUP, fixed=0), *UNUSED)}, "groups", id="no-groups"),
        pytest.param({"grid": (forged(ONE_GROUP, fixed=2**31), *UNUSED)}, "groups", id="groups"),
        pytest.param({"block": (0, 1, 1)}, "group", id="empty-block"),
        pytest.param({"block": (2**31, 2, 1)}, "group", id="huge-block"),
        pytest.param({"block": (1, 32, 33)}, "work-items", id="large-block"),
        pytest.param({}, "another device than the CPU", id="on-a-cpu"),
    ],
)
def test_a_launch_that_is_not_understood_is_refused(refusal, tiny_bundle, changes, reason):
    (tiny_bundle / EMBED.code).write_text("code")
    write_bundle(tiny_bundle, plan=forged(make_plan(), **launches(**changes)).to_bytes())
    assert re.search(reason, refusal())


HOST = {"arch": "x", "cpu_features": [], "instruction_sets": []}


def target(**changes):
    return {"name": "cpu:test", "kind": "cpu", "host": HOST, "device": {}} | changes


def opencl(host_glibc):
    return target(kind="opencl", device={"host_glibc": host_glibc})


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        pytest.param(("format_version",), 2, "format version 2", id="version-2"),
        pytest.param(("plan_abi_version",), 1, "(contradict|plan_abi_version)", id="abi"),
        pytest.param(("features",), ["step.graph"], "step.graph", id="feature"),
        pytest.param(("features",), [1], "(features|list of texts)", id="feature-number"),
        pytest.param(("features",), {}, "features", id="features-object"),
        pytest.param(("target",), target(kind="abacus"), "abacus", id="kind"),
        pytest.param(("target",), target(kind="opencl"), "host_glibc", id="no-glibc"),
        *(
            pytest.param(("target",), opencl(version), "host_glibc", id=f"glibc-{version}")
            for version in ("", "2", "2.", ".2", "2.17.1", "2.x", "22222.17", 2)
        ),
        pytest.param(("target",), target(device={"cores": 4}), "(cores|fields)", id="device"),
        pytest.param(("target",), target(arch="x"), "(arch|fields)", id="old-target"),
        pytest.param(("target",), target(host={}), "arch", id="no-host"),
        pytest.param(("target",), target(host=HOST | {"os": "x"}), "(os|fields)", id="more-host"),
        pytest.param(("files", "plan.bin", "role"), "music", "music", id="role"),
        pytest.param(("files", "plan.bin", "role"), "text", "plan.bin", id="plan-as-text"),
        pytest.param(("files", "plan.bin", "role"), 1, "role", id="role-number"),
        pytest.param(
            ("files", "weights.bin", "role"), "text", "(weights.bin|files of weights)", id="text"
        ),
        pytest.param(
            ("files", "ossc-run", "role"), "weights", "(contradict|ossc-run)", id="more-weights"
        ),
    ],
)
def test_a_manifest_that_is_not_understood_is_refused(refusal, tiny_bundle, path, value, reason):
    manifest = Manifest.read(tiny_bundle)
    fields = json.loads(manifest.to_json())
    inner = fields
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    forged(manifest, to_json=lambda: json.dumps(fields)).write(tiny_bundle)
    assert re.search(reason, refusal())


@pytest.mark.parametrize("damage", ["missing", "shorter"])
def test_a_shard_that_is_damaged_is_refused(refusal, tiny_bundle, damage):
    data = weights().tobytes()
    shard = forged(WEIGHTS, file="weights.1.bin")
    plan = make_plan(spaces=(WEIGHTS, STATE, ARENA, shard))
    files = {"weights.bin": data, "weights.1.bin": data}
    write_bundle(tiny_bundle, plan=plan.to_bytes(), files=files)
    (tiny_bundle / "weights.1.bin").unlink()
    if damage == "shorter":
        (tiny_bundle / "weights.1.bin").write_bytes(data[:-1])
    assert "weights.1.bin" in refusal()
