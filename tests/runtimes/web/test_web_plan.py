"""The readers of plan.bin and manifest.json in JavaScript: each damage is refused by name."""

import json
import random
from base64 import b64encode
from copy import deepcopy

import pytest

import chromium
from ossc.runtimes.manifest import FileEntry
from ossc.runtimes.plan import DType, Groups, HostKernel, Plan, Role, Space, Use
from ossc.targets.errors import BundleError
from synthetic.tiny_plan import make_manifest
from synthetic.web_plan import TARGET, make_web_plan
from web_server import call

pytestmark = [
    pytest.mark.emulated,
    pytest.mark.skipif(chromium.EXECUTABLE is None, reason="chromium is not installed"),
]

MUTANTS = 700
"""Plans with one other byte that are given to both readers."""

PLAN = make_web_plan().to_bytes()

HOST_STEP = HostKernel(
    label="x", layer=0, tensors=(0,), kernel="k", ranged=False, tasks_fixed=0, tasks_per_token=0
)


def put(part, **fields):
    """Set fields without the checks of the compiler's classes."""
    for name, value in fields.items():
        object.__setattr__(part, name, value)


def damaged(change):
    """The bytes of a plan after something was done to it."""
    plan = deepcopy(make_web_plan())
    change(plan)
    return plan.to_bytes()


def space(index, **fields):
    return damaged(lambda plan: put(plan.spaces[index], **fields))


def tensor(index, **fields):
    return damaged(lambda plan: put(plan.tensors[index], **fields))


def step(**fields):
    return damaged(lambda plan: put(plan.segments[1].steps[0], **fields))


def segment(index, **fields):
    return damaged(lambda plan: put(plan.segments[index], **fields))


def grid(axis, **fields):
    """Of the first step; the axis is the place in its grid."""

    def change(plan):
        kernel = plan.segments[1].steps[0]
        groups = [deepcopy(each) for each in kernel.grid]
        put(groups[axis], **fields)
        put(kernel, grid=tuple(groups))

    return damaged(change)


def binding(name, index, **fields):
    return damaged(lambda plan: put(getattr(plan.segments[0], name)[index], **fields))


def segments(choose):
    return damaged(lambda plan: put(plan, segments=choose(plan.segments)))


PLANS = {
    "another-file": (b"OSSCPLAX" + PLAN[8:], "does not begin as a plan"),
    "empty": (b"", "ends at byte 0 inside a field"),
    "cut": (PLAN[:-3], "ends at byte"),
    "more": (PLAN + b"xx", "has 2 bytes after its end"),
    "abi": (damaged(lambda plan: put(plan, abi_version=3)), "ABI version 3, and this page runs 2"),
    "context": (damaged(lambda plan: put(plan, context=0)), "context is 0"),
    "vocab": (damaged(lambda plan: put(plan, vocab_size=2**31)), "vocab_size is 2147483648"),
    "devices": (damaged(lambda plan: put(plan, devices=())), "it has 0 devices"),
    "device": (damaged(lambda plan: put(plan.devices[0], kind="Web")), "no kind of device"),
    "use": (space(0, use=7), "has the use 7"),
    "space-device": (space(1, device=4), "a space is on device 4"),
    "alignment": (space(1, alignment_bytes=96), "aligned to 96 bytes"),
    "alignment-large": (space(1, alignment_bytes=8192), "aligned to 8192 bytes"),
    "space-size": (space(1, size_bytes=2**48 + 1), "is out of range"),
    "folder": (space(0, file="../weights"), "lies in the file '../weights'"),
    "state-file": (space(1, file="x"), "of state lies in the file 'x'"),
    "one-file": (
        damaged(lambda plan: put(plan, spaces=(*plan.spaces, plan.spaces[0]))),
        "two spaces lie in one file",
    ),
    "tensor-space": (tensor(1, space=9), "in space 9"),
    "role": (tensor(1, role=99), "role 99 is unknown"),
    "dtype": (tensor(1, dtype=77), "dtype 77 is unknown"),
    "unaligned": (tensor(1, offset_bytes=100), "offset 100 is not a multiple of 512"),
    "offset": (tensor(1, offset_bytes=2**63), "is out of range"),
    "no-rows": (tensor(1, shape=(0,)), "shape [0] is not valid"),
    "two-n": (tensor(1, shape=(-1, -1)), "two dimensions of n_tokens"),
    "dimensions": (tensor(7, shape=(1,) * 9), "too many dimensions"),
    "ids-f32": (tensor(1, dtype=DType.F32), "of the role 'token ids' is f32"),
    "weights-in-state": (tensor(7, role=Role.WEIGHTS), "'weights' is in a space of state"),
    "other-in-weights": (tensor(0, role=Role.OTHER), "'other' is in a space of weights"),
    "cache-in-arena": (tensor(8, role=Role.CACHE), "a cache is not in a state"),
    "beyond": (tensor(8, offset_bytes=4096), "of arena, which has 4096"),
    "huge": (tensor(7, shape=(2**40, 2**40)), "of state, which has 16384"),
    "name": (segment(0, name="sleep"), "segment 'sleep' is unknown"),
    "no-tokens": (segment(1, max_tokens=0), "takes 0 tokens"),
    "decode-two": (segment(0, max_tokens=2), "decode takes more than one token"),
    "alike": (segments(lambda all_: (*all_, all_[3])), "two segments are alike"),
    "no-decode": (segments(lambda all_: all_[1:]), "it needs one segment decode"),
    "no-prefill": (segments(lambda all_: (all_[0], *all_[2:])), "it needs one segment prefill"),
    "no-head": (segments(lambda all_: (*all_[:2], all_[3])), "it needs a head for one row"),
    "no-positions": (segment(0, inputs=make_web_plan().segments[0].inputs[:1]), "lacks the input"),
    "surplus": (
        damaged(lambda plan: put(plan.segments[2], inputs=plan.segments[0].inputs)),
        "head lacks the input hidden",
    ),
    "twice": (binding("inputs", 1, tensor=1), "token ids is bound twice"),
    "no-tensor": (binding("inputs", 1, tensor=88), "uses buffer 88"),
    "layer": (binding("outputs", 1, layer=70000), "has the layer 70000"),
    "router-layer": (binding("outputs", 1, layer=-1), "of the layers"),
    "hidden-shape": (tensor(5, shape=(-1, 8)), "hidden of head has the shape"),
    "logits-in-arena": (
        damaged(lambda plan: (put(plan.spaces[2], size_bytes=8192), put(plan.tensors[6], space=2))),
        "logits of head is not in the state",
    ),
    "host-kernel": (
        damaged(lambda plan: put(plan.segments[0], steps=(HOST_STEP,))),
        "of the kind 'host kernel', which a browser cannot run; compile the model with --target",
    ),
    "no-buffers": (step(tensors=()), "has 0 buffers"),
    "31-buffers": (step(tensors=(0,) * 31), "has 31 buffers"),
    "step-layer": (step(layer=-2), "has the layer -2"),
    "code": (step(code="a/b"), "lies in 'a/b'"),
    "kernel": (step(kernel="1st"), "'1st' is not a C name"),
    "takes-rows": (step(takes_rows=2), "takes_rows of test_embedding is 2"),
    "divisor": (grid(0, divisor=0), "divides its groups by 0"),
    "no-groups": (grid(1, fixed=0), "a dimension without groups"),
    "many-groups": (grid(0, per_token=2**32 - 1, divisor=1), "groups"),
    "no-block": (step(block=(0, 1, 1)), "groups of [0,1,1] invocations"),
    "large-block": (step(block=(1025, 1, 1)), "groups of [1025,1,1] invocations"),
    "long-name": (step(label="x" * 256), "is 256 bytes long"),
    "control": (step(label="a\nb"), "cannot be printed"),
    "not-utf-8": (PLAN.replace(b"test_router of", b"test_rout\xff\xff of"), "not UTF-8"),
}
"""Plans that are not plans."""

FOREIGN = {
    "i64": (tensor(2, dtype=DType.I64), "token ids or positions of 64 bits"),
    "z": (grid(2, fixed=2), "has 2 groups in z, which WebGPU does not allow"),
    "y": (grid(1, fixed=65536), "has 65536 groups in y"),
    "alignment": (
        damaged(
            lambda plan: (
                put(plan.spaces[1], alignment_bytes=64),
                put(plan.tensors[2], offset_bytes=64),
            )
        ),
        "binds a buffer at byte 64",
    ),
}
"""Plans for devices that are no browsers."""


def encoded(plans):
    return {name: b64encode(data).decode() for name, (data, _) in plans.items()}


TRY_ALL = """
const messages = {};
for (const [name, text] of Object.entries(files)) {
  try {
    read(Uint8Array.from(atob(text), (each) => each.charCodeAt(0)));
    messages[name] = null;
  } catch (error) {
    messages[name] = String(error);
  }
}
return messages;
"""
"""What a reader says of each of several files; null: it takes the file."""


@pytest.fixture(scope="module")
def page(site):
    return site.open("web/index.html")


@pytest.fixture(scope="module")
def of_plans(page):
    """What is said of all plans."""
    return call(page, f"const read = readPlan; {TRY_ALL}", "plan", files=encoded(PLANS))


@pytest.fixture(scope="module")
def of_foreign_plans(page):
    body = f"const read = (bytes) => checkForWebGpu(readPlan(bytes)); {TRY_ALL}"
    return call(page, body, "plan gpu_needs", files=encoded(FOREIGN))


def is_sentence(message):
    return message.startswith("BundleError: ") and message.endswith(".") and "; " in message


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_that_is_none_is_refused(of_plans, name):
    assert PLANS[name][1] in of_plans[name]
    assert is_sentence(of_plans[name])


@pytest.mark.parametrize("name", PLANS)
def test_the_compiler_refuses_it_too(name):
    if name == "host-kernel":  # which is one that a CPU runs
        return
    with pytest.raises(BundleError):
        Plan.from_bytes(PLANS[name][0])


@pytest.mark.parametrize("name", FOREIGN)
def test_a_plan_that_no_browser_runs_is_refused(of_foreign_plans, name):
    assert FOREIGN[name][1] in of_foreign_plans[name]
    assert is_sentence(of_foreign_plans[name])
    Plan.from_bytes(FOREIGN[name][0])


def test_both_readers_take_the_same_plans(page):
    chance = random.Random(0)
    mutants = {}
    for number in range(MUTANTS):
        data = bytearray(PLAN)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        mutants[str(number)] = (bytes(data), "")
    body = f"const read = readPlan; {TRY_ALL}"
    theirs = call(page, body, "plan", files=encoded(mutants))
    taken = {name for name, message in theirs.items() if message is None}
    assert taken == {name for name, (data, _) in mutants.items() if is_plan(data)}
    assert 0 < len(taken) < MUTANTS
    assert all(is_sentence(message) for message in theirs.values() if message is not None)


def is_plan(data):
    try:
        Plan.from_bytes(data)
    except BundleError:
        return False
    return True


def test_every_number_of_a_plan_arrives(page):
    plan = make_web_plan()
    found = call(
        page,
        "return readPlan(Uint8Array.from(atob(data), (each) => each.charCodeAt(0)));",
        "plan",
        data=b64encode(PLAN).decode(),
    )
    sizes = (plan.context, plan.vocab_size, plan.hidden_size)
    assert (found["context"], found["vocabSize"], found["hiddenSize"]) == sizes
    assert [each["sizeBytes"] for each in found["spaces"]] == [s.size_bytes for s in plan.spaces]
    assert [tuple(each["shape"]) for each in found["tensors"]] == [t.shape for t in plan.tensors]
    assert found["blockHead"]["maxTokens"] == 16
    (theirs, ours) = (found["segments"][1]["steps"], plan.segments[1].steps)
    for js, step_ in zip(theirs, ours, strict=True):
        assert (js["label"], js["kernel"], js["code"]) == (step_.label, step_.kernel, step_.code)
        assert js["takesRows"] is step_.takes_rows
        assert js["tensors"] == list(step_.tensors)
        assert js["block"] == list(step_.block)
        assert [Groups(fixed=g["fixed"], per_token=g["perToken"], divisor=g["divisor"])
                for g in js["grid"]] == list(step_.grid)  # fmt: skip


ENTRIES = {
    "plan.bin": FileEntry.of("plan", b"p"),
    "kernels.wgsl.json": FileEntry.of("code", b"k"),
    "weights.bin": FileEntry.of("weights", b"w"),
}


def manifest(*path, value):
    """A manifest with one field, deep in it, replaced or added; None removes it."""
    fields = json.loads(make_manifest(ENTRIES, target=TARGET).to_json())
    inner = fields
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    if value is None:
        del inner[path[-1]]
    return json.dumps(fields).encode()


WHOLE = manifest("context", value=24)

MANIFESTS = {
    "no-json": (b"{", "is not valid JSON"),
    "no-text": (b'{"a": "\xff"}', "is not valid JSON"),
    "no-object": (b"[]", "has to hold a JSON object"),
    "twice": (b'{"context": 1, ' + WHOLE[1:], 'the key "context" is there more than once'),
    "escaped": (b'{"conte\\u0078t": 1, ' + WHOLE[1:], "is there more than once"),
    "deep": (manifest("model", "deep", value=json.loads("[" * 40 + "]" * 40)), "too deeply"),
    "version": (manifest("format_version", value=2), "has format version 2"),
    "abi": (manifest("plan_abi_version", value=9), "plans of version 9"),
    "feature": (manifest("features", value=["text.bin"]), "needs 'text.bin'"),
    "features": (manifest("features", value="x"), "not a list of texts"),
    "kind": (manifest("target", "kind", value="opencl"), "is for 'opencl', and a browser runs"),
    "device": (manifest("target", "device", value={"a": 1}), "unknown fields"),
    "target": (manifest("target", "os", value="x"), "unknown fields"),
    "more": (manifest("colour", value="red"), "unknown fields"),
    "less": (manifest("stop_token_ids", value=None), "has no field 'stop_token_ids'"),
    "stop": (manifest("stop_token_ids", value=[-1]), "not a list of integers"),
    "context": (manifest("context", value=0), "not an integer of at least 1"),
    "chunk": (manifest("prefill_chunk", value=1.5), "not an integer of at least 1"),
    "model": (manifest("model", value=[]), "not an object"),
    "version-text": (manifest("ossc_version", value=1), "not a text"),
    "state": (manifest("memory", "kv", "f32", "state_bytes", value=2**53 + 2), "an integer"),
    "kv": (manifest("memory", "kv", "f64", value={}), "has no field 'state_bytes'"),
    "default-kv": (manifest("memory", "default_kv", value="int8"), "no memory of the default"),
    "folder": (manifest("files", "../x", value={}), 'lists a file "../x"'),
    "itself": (manifest("files", "manifest.json", value={}), "which no bundle has"),
    "role": (manifest("files", "plan.bin", "role", value="music"), "has the role 'music'"),
    "sha256": (manifest("files", "plan.bin", "sha256", value="A" * 64), "a sha256 that is not one"),
    "no-plan": (manifest("files", "plan.bin", value=None), "does not list plan.bin as a plan"),
}


@pytest.fixture(scope="module")
def of_manifests(page):
    return call(page, f"const read = readManifest; {TRY_ALL}", "manifest", files=encoded(MANIFESTS))


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_that_is_none_is_refused(of_manifests, name):
    assert MANIFESTS[name][1] in of_manifests[name]
    assert is_sentence(of_manifests[name])


def test_a_whole_manifest_is_taken(page):
    files = encoded({"whole": (WHOLE, "")})
    assert call(page, f"const read = readManifest; {TRY_ALL}", "manifest", files=files) == {
        "whole": None
    }


def needs(page, plan):
    data = b64encode(plan.to_bytes()).decode()
    body = "return needsOf(readPlan(Uint8Array.from(atob(data), (each) => each.charCodeAt(0))));"
    return call(page, body, "plan gpu_needs", data=data)


def test_what_a_plan_needs_of_an_adapter_is_known(page):
    spaces = tuple(make_web_plan().spaces)
    large = Space(use=Use.STATE, size_bytes=2**30, alignment_bytes=512)
    found = needs(page, make_web_plan(spaces=(spaces[0], large, spaces[2])))
    assert {each["limit"]: each["needed"] for each in found} == {
        "maxBufferSize": 2**30,
        "maxStorageBufferBindingSize": 2560,  # the embedding, and 16 rows of logits
        "maxStorageBuffersPerShaderStage": 3,
        "maxComputeInvocationsPerWorkgroup": 64,
        "maxComputeWorkgroupSizeX": 64,
        "maxComputeWorkgroupSizeY": 2,
        "maxComputeWorkgroupSizeZ": 1,
    }


@pytest.mark.parametrize("index", range(7))
def test_an_adapter_with_too_low_a_limit_is_refused(page, index):
    found = needs(page, make_web_plan())
    limits = {each["limit"]: each["needed"] - (i == index) for i, each in enumerate(found)}
    message = call(page, "checkLimits(found, limits);", "gpu_needs", found=found, limits=limits)
    assert message.startswith("DeviceError: The model needs ")
    assert f"({found[index]['limit']}); " in message
    assert message.endswith(", or use another browser or machine.")
