"""Bundles in a browser: logits against float64, and every refusal a sentence with its fix."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import chromium
from ossc.runtimes.plan import Device
from synthetic.tiny_bundle import reference_logits, weights
from synthetic.tiny_plan import CACHE, CHUNK, CONTEXT, POSITIONS, make_manifest
from synthetic.web_plan import BODIES, HEADS, KERNELS, code_file, make_web_plan
from synthetic.web_plan import write_web_bundle as write
from web_server import OPEN, call

pytestmark = [
    pytest.mark.emulated,
    pytest.mark.skipif(chromium.EXECUTABLE is None, reason="chromium is not installed"),
]

MEMORY = make_manifest({}).memory

IDS = [5, 1, 30, 30, 2, 0, 7, 19, 39, 1, 4]

OPEN_SESSION = "const model = await openModel(address); const s = await model.createSession(); "

FLOATS = "const list = (logits) => [...logits]; "


@pytest.fixture(scope="module")
def folder(site, tmp_path_factory):
    """Where bundles are made; ``made`` serves them."""
    return tmp_path_factory.mktemp("bundles")


@pytest.fixture(scope="module")
def made(site, folder):
    """Writes a bundle and gives its address."""

    def write_one(name="whole", **changes):
        if name not in site.folders:
            site.folders[name] = write(folder / name, **changes)
        return f"/{name}/"

    return write_one


@pytest.fixture(scope="module")
def page(site):
    return site.open("web/index.html")


def close(logits, token_ids, rows=slice(None)):
    reference = reference_logits(token_ids)[rows]
    found = np.array(logits).reshape(reference.shape)
    np.testing.assert_allclose(found, reference, rtol=1e-5, atol=1e-5)


def test_all_logits_of_a_prompt_in_chunks_are_those_of_float64(page, made):
    body = f"{OPEN_SESSION}{FLOATS} return list(await s.run(ids, {{ logits: 'all' }}));"
    close(call(page, body, address=made(), ids=IDS), IDS)


@pytest.mark.parametrize("count", [1, CHUNK, CHUNK + 1, 2 * CHUNK + 2])
def test_the_last_logits_are_the_same_with_any_chunks(page, made, count):
    body = f"{OPEN_SESSION}{FLOATS} return list(await s.run(ids));"
    close(call(page, body, address=made(), ids=IDS[:count]), IDS[:count], slice(-1, None))


def test_a_reset_session_forgets_and_decodes_like_a_prompt(page, made):
    body = f"""{OPEN_SESSION}{FLOATS}
        await s.run([8, 8, 8], {{ logits: "none" }});
        s.reset();
        const rows = [];
        for (const id of ids) rows.push(...(await s.run([id])));
        return [rows, s.position];"""
    logits, position = call(page, body, address=made(), ids=IDS)
    close(logits, IDS)
    assert position == len(IDS)


def test_two_sessions_of_a_model_do_not_disturb_each_other(page, made):
    body = f"""{OPEN_SESSION}{FLOATS} const other = await model.createSession();
        await s.run(ids.slice(0, 5), {{ logits: "none" }});
        await other.run([9, 9, 9, 9, 9, 9], {{ logits: "none" }});
        return list(await s.run(ids.slice(5)));"""
    close(call(page, body, address=made(), ids=IDS), IDS, slice(-1, None))


def test_weights_may_lie_in_several_files(page, made):
    plan = make_web_plan()
    embedding, state, arena = plan.spaces
    unused = replace(embedding, file="weights.0.bin")
    shards = make_web_plan(
        spaces=(unused, embedding, state, arena),
        tensors=tuple(replace(each, space=each.space + 1) for each in plan.tensors),
    )
    address = made(
        "shards",
        plan=shards.to_bytes(),
        files={"weights.0.bin": bytes(weights().nbytes), "weights.bin": weights().tobytes()},
        memory=replace(MEMORY, weights_bytes=shards.weights_bytes),
    )
    body = f"{OPEN_SESSION}{FLOATS} return list(await s.run(ids));"
    close(call(page, body, address=address, ids=IDS), IDS, slice(-1, None))


def test_progress_counts_every_byte_of_the_weights_and_every_kernel(page, made):
    body = """const seen = [];
        await openModel(address, { onProgress: (each) => seen.push(each) });
        const last = (phase) => seen.filter((each) => each.phase === phase).at(-1);
        return [last("weights"), last("kernels"), last("bundle").done > 0];"""
    size = weights().nbytes
    assert call(page, body, address=made()) == [
        {"phase": "weights", "done": size, "total": size},
        {"phase": "kernels", "done": len(KERNELS), "total": len(KERNELS)},
        True,
    ]


def test_each_step_of_a_call_has_its_time(page, made):
    body = f"""{OPEN_SESSION} await s.run(ids, {{ times: true }});
        return [model.gpu.hasTimes, s.times.map(({{ step, ns }}) => [step.kernel, ns])];"""
    has_times, times = call(page, body, address=made(), ids=IDS[:5])
    body_steps = [step.kernel for step in BODIES[0].steps]
    assert has_times
    assert [kernel for kernel, _ in times] == [*body_steps, *body_steps, "test_head"]
    assert all(0 <= ns < 60e9 for _, ns in times)
    assert sum(ns for _, ns in times) > 0


GENERATE = f"""{OPEN_SESSION}
    const sampler = new Sampler({{ temperature, seed: 3n }});
    const tokens = generate(model, s, ids, {{ sampler, maxNewTokens }});
    const found = [];
    let each = await tokens.next();
    for (; !each.done; each = await tokens.next()) found.push(each.value);
    return [found, each.value, s.position];"""


def generated(page, address, ids=(5, 1), temperature=0, most=4):
    values = {"ids": list(ids), "temperature": temperature, "maxNewTokens": most}
    return call(page, GENERATE, address=address, **values)


def greedy(ids, count):
    ids = list(ids)
    for _ in range(count):
        ids.append(int(reference_logits(ids)[-1].argmax()))
    return ids[-count:]


def test_greedy_tokens_are_those_of_float64(page, made):
    assert generated(page, made()) == [greedy([5, 1], 4), "length", 5]


def test_a_stop_token_ends_the_answer_and_is_not_part_of_it(page, made):
    address = made("stops", stop_token_ids=(greedy([5, 1], 1)[0],))
    assert generated(page, address) == [[], "stop", 2]


def test_a_full_context_ends_the_answer(page, made):
    found, reason, position = generated(page, made(), most=1000)
    assert (len(found), reason, position) == (CONTEXT - 1, "context", CONTEXT)


def test_a_temperature_draws_the_same_tokens_again_and_not_the_likeliest_only(page, made):
    first, again = (generated(page, made(), temperature=9, most=20) for _ in range(2))
    assert first == again
    assert len(set(first[0])) > 5


SPLITMIX64 = [6457827717110365317, 3203168211198807973, 9817491932198370423]
"""The first numbers that the authors' program gives for the seed 1234567."""


def test_the_sampler_draws_with_splitmix64_from_the_end_of_equal_candidates(page):
    body = """const sampler = new Sampler({ temperature: 1, seed: 1234567n });
        const logits = new Float32Array(1000);
        return [0, 0, 0].map(() => sampler.sample(logits));"""
    assert call(page, body) == [999 - 1000 * (each >> 11) // 2**53 for each in SPLITMIX64]


def test_drawn_tokens_are_as_frequent_as_softmax_says(page):
    logits = [1.0, 0.0, -2.0, float(np.log(3))]
    body = """const sampler = new Sampler({ temperature: 0.5, seed: 11n });
        const counts = [0, 0, 0, 0];
        for (let i = 0; i < 20000; ++i) counts[sampler.sample(Float32Array.from(logits))] += 1;
        return counts;"""
    expected = np.exp(np.array(logits) / 0.5)
    counts = np.array(call(page, body, logits=logits))
    np.testing.assert_allclose(counts / 20000, expected / expected.sum(), atol=0.012)


def test_of_equal_logits_the_first_is_the_greedy_one(page):
    body = "return new Sampler().sample(Float32Array.from([-9, 2, 2, 1]));"
    assert call(page, body) == 1


def test_a_page_may_open_a_bundle_of_another_server_that_lets_it(site, page, made):
    body = f"{OPEN_SESSION}{FLOATS} return list(await s.run(ids));"
    address = f"http://localhost:{site.port}{made(f'{OPEN}bundle')}"
    close(call(page, body, address=address, ids=IDS), IDS, slice(-1, None))


# ---- bundles that are refused


def copied(made, folder, site, name, **files):
    """A bundle whose files were changed after it had been made."""
    made()
    if name not in site.folders:
        site.folders[name] = shutil.copytree(site.folders["whole"], folder / name)
        for path, data in files.items():
            (folder / name / path).write_bytes(data)
    return f"/{name}/"


def refusal(page, address, options="{}"):
    message = call(page, f"await openModel(address, {options});", address=address)
    assert message is not None, "the bundle was opened"
    assert message.endswith(".")
    return message


DAMAGES = {
    "hash": ({"manifest.json": b"{}"}, "does not have the hash in manifest.sha256"),
    "weights": (
        {"weights.bin": weights().tobytes()[:-1] + b"x"},
        "weights.bin does not have the hash in the manifest",
    ),
    "short": ({"weights.bin": b"x"}, "weights.bin has 1 bytes and at most 2560 were expected"),
    "long": ({"weights.bin": bytes(2561)}, "has more than 2560 bytes"),
    "plan": ({"plan.bin": bytes(len(make_web_plan().to_bytes()))}, "plan.bin does not have"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_bundle_is_refused(page, made, folder, site, name):
    files, fault = DAMAGES[name]
    message = refusal(page, copied(made, folder, site, f"damaged-{name}", **files))
    assert fault in message
    assert message.startswith("BundleError: ")


def test_an_incomplete_bundle_is_refused(page, made, folder, site):
    address = copied(made, folder, site, "incomplete")
    (folder / "incomplete" / "weights.bin").unlink(missing_ok=True)
    message = refusal(page, address)
    assert "weights.bin cannot be fetched (HTTP status 404); give the address of" in message


def test_an_address_without_a_server_and_one_that_is_kept_from_pages_are_refused(site, page, made):
    for address in ("http://127.0.0.1:1/", f"http://localhost:{site.port}{made()}"):
        assert "cannot be fetched (Failed to fetch); check the address" in refusal(page, address)
    assert "is no address; give that of a bundle's folder" in refusal(page, "http://[")


def test_a_type_of_kv_caches_without_a_plan_is_refused(page, made):
    message = refusal(page, made(), "{ kv: 'f16' }")
    assert "no plan for KV caches of the type 'f16'; it has f32." in message


def with_tensors(kernel, *tensors):
    """The plan with other tensors for the steps of a kernel."""
    bodies = [
        replace(
            body,
            steps=tuple(
                replace(step, tensors=tensors) if step.kernel == kernel else step
                for step in body.steps
            ),
        )
        for body in BODIES
    ]
    return make_web_plan(segments=(*bodies, *HEADS)).to_bytes()


WRITES_WEIGHTS = KERNELS["test_head"].replace("storage, read>", "storage, read_write>")

CONTRADICTIONS = {
    "context": ({"context": CONTEXT + 1}, "The manifest says 25 for context and the plan 24"),
    "chunk": ({"prefill_chunk": 9}, "says 9 for prefill_chunk and the plan 4"),
    "device": (
        {"plan": make_web_plan(devices=(Device(kind="opencl"),)).to_bytes()},
        "says webgpu for the devices and the plan opencl",
    ),
    "files": (
        {"files": {"weights.bin": weights().tobytes(), "weights.2.bin": b"x"}},
        "says weights.2.bin, weights.bin for the files of weights and the plan weights.bin",
    ),
    "no-kernel": (
        {"code": code_file({k: v for k, v in KERNELS.items() if k != "test_mean"})},
        "kernels.wgsl.json lacks the kernel test_mean of the plan",
    ),
    "no-wgsl": (
        {"code": code_file(KERNELS | {"test_mean": KERNELS["test_mean"] + "fn more( {"})},
        "The kernel test_mean of kernels.wgsl.json cannot be built (line ",
    ),
    "binding": (
        {"code": code_file(KERNELS | {"test_mean": KERNELS["test_mean"].replace("(3)", "(9)")})},
        "The kernel test_mean of kernels.wgsl.json cannot be built (",
    ),
    "count": (
        {"code": code_file(KERNELS | {"test_mean": KERNELS["test_router"]})},
        "of the test' binds 3 buffers to a kernel that declares 2 (test_mean), which",
    ),
    "writes-weights": (
        {"code": code_file(KERNELS | {"test_head": WRITES_WEIGHTS})},
        "writes weights (test_head)",
    ),
    "both": (
        {"code": code_file(KERNELS | {"test_mean": KERNELS["test_head"]})},
        "binds one buffer to be read only and to be written (test_mean)",
    ),
    "same-bytes": (
        {"plan": with_tensors("test_store", CACHE, POSITIONS, CACHE)},
        "binds the same bytes twice to be written (test_store)",
    ),
    "no-text": ({"code": json.dumps({"test_mean": 1}).encode()}, "which is not a text"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_bundle_whose_parts_contradict_each_other_is_refused(page, made, name):
    changes, fault = CONTRADICTIONS[name]
    assert fault in refusal(page, made(f"contradiction-{name}", **changes))


def test_code_that_is_not_listed_as_code_is_refused(page, made):
    bodies = [
        replace(body, steps=tuple(replace(step, code="weights.bin") for step in body.steps))
        for body in BODIES
    ]
    plan = make_web_plan(segments=(*bodies, *HEADS)).to_bytes()
    assert "does not list weights.bin as code" in refusal(page, made("uncoded", plan=plan))


# ---- calls that are refused

CALLS = {
    "empty": ("await s.run([]);", "No tokens were given; give at least one."),
    "vocab": ("await s.run([0, 40]);", "Token id 40 is not in the vocabulary of 40; give ids"),
    "fraction": ("await s.run([0.5]);", "Token id 0.5 is not in the vocabulary"),
    "context": (
        "await s.run(Array(25).fill(1));",
        "25 tokens do not fit into the context of 24; give fewer, or compile",
    ),
    "position": (
        "await s.run([1, 2]); await s.run(Array(23).fill(1));",
        "23 tokens at position 2 do not fit into the context of 24; give fewer, reset the session",
    ),
    "together": (
        "const first = s.run([1, 2]); try { await s.run([3]); } finally { await first; }",
        "Another call of this session is running; wait for it.",
    ),
    "temperature": ("new Sampler({ temperature: -1 });", "The temperature is -1; it has to be 0"),
    "seed": ("new Sampler({ seed: -1n });", "The seed is -1; it has to be from 0"),
    "prompt": (
        "for await (const _ of generate(model, s, Array(25).fill(1), { sampler: new Sampler() }));",
        "The prompt has 25 tokens and the context holds 24; give a shorter prompt",
    ),
    "no-logits": (
        "new Sampler().sample(new Float32Array(3).fill(-Infinity));",
        "logits that are not numbers",
    ),
}


@pytest.fixture(scope="module")
def of_calls(page, made):
    """What is said of each call, of a session of its own."""
    attempts = "".join(
        f"""await attempt({json.dumps(name)}, async (s) => {{ {statements} }});"""
        for name, (statements, _) in CALLS.items()
    )
    body = f"""const model = await openModel(address); const said = {{}};
        const attempt = async (name, work) => {{
            const session = await model.createSession();
            await work(session).catch((error) => (said[name] = String(error)));
            session.close();
        }};
        {attempts} return said;"""
    return call(page, body, address=made())


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_cannot_be_is_refused(of_calls, name):
    assert of_calls[name].startswith("CallError: ")
    assert CALLS[name][1] in of_calls[name]


def test_logits_that_are_no_numbers_are_refused_and_the_session_has_to_be_reset(page, made):
    damaged = weights()
    damaged[7] = np.nan
    address = made("nan", files={"weights.bin": damaged.tobytes()})
    body = f"""{OPEN_SESSION} const said = [];
        const attempt = (ids) => s.run(ids).catch((error) => said.push(error.message));
        await attempt([1, 2, 3, 4, 5, 7]);
        await attempt([1]);
        s.reset();
        await attempt([1]);
        return [said, s.position];"""
    said, position = call(page, body, address=address)
    assert "logits that are not numbers" in said[0]
    assert "failed half-way and left the session without its keys; reset it" in said[1]
    assert "logits that are not numbers" in said[2]  # the head has the row of every token
    assert position == 0


# ---- devices that are refused

DEVICES = {
    "insecure": (
        "Object.defineProperty(globalThis, 'isSecureContext', { value: false });",
        "This page was not loaded securely",
    ),
    "no-webgpu": (
        "Object.defineProperty(navigator, 'gpu', { value: undefined });",
        "This browser has no WebGPU; use a current",
    ),
    "no-adapter": (
        "navigator.gpu.requestAdapter = async () => null;",
        "found no graphics adapter for WebGPU; turn on hardware acceleration",
    ),
    "no-device": (
        "GPUAdapter.prototype.requestDevice = async () => { throw new Error('used up'); };",
        "The adapter gives no device (used up); reload the page.",
    ),
    "memory": (
        """GPUDevice.prototype.popErrorScope = async () => new GPUOutOfMemoryError("x");""",
        "has no memory for the kernels; close what else uses it",
    ),
    "validation": (
        """GPUDevice.prototype.popErrorScope = async () => new GPUValidationError("odd\\nx");""",
        "WebGPU refused the kernels (odd); compile the model again.",
    ),
}


@pytest.mark.parametrize("name", DEVICES)
def test_a_browser_that_cannot_run_it_is_told_what_to_do(site, made, name):
    statements, fault = DEVICES[name]
    message = call(site.open(), f"{statements} await openModel(address);", address=made())
    assert message.startswith("DeviceError: ")
    assert fault in message


def test_an_adapter_without_room_for_the_state_is_refused_before_weights_are_fetched(site, made):
    plan = make_web_plan()
    state = replace(plan.spaces[1], size_bytes=2**40)
    session = replace(MEMORY.default, state_bytes=2**40)
    address = made(
        "large",
        plan=make_web_plan(spaces=(plan.spaces[0], state, plan.spaces[2])).to_bytes(),
        memory=replace(MEMORY, kv={"f32": session}),
    )
    page = site.open()
    message = refusal(page, address)
    assert "The model needs 1099511627776 bytes in one buffer and this adapter has" in message
    assert "(maxBufferSize); choose KV caches of f16 or int8" in message
    assert not any(url.endswith("weights.bin") for url in page.requests)


def test_a_lost_device_ends_every_later_call_with_a_sentence(site, made):
    body = f"""{OPEN_SESSION} const said = [];
        const attempt = (call) => call.catch((error) => said.push(String(error)));
        await s.run([1, 2]);
        model.gpu.device.destroy();
        await attempt(s.run([3]));
        await attempt(s.run([3]));
        await attempt(model.createSession());
        return [said, s.position];"""
    said, position = call(site.open(), body, address=made())
    assert position == 2
    assert len(said) == 3
    for message in said:
        assert message.startswith("DeviceError: The graphics device was lost (")
        assert "load the model again" in message


def test_an_adapter_without_timestamps_runs_and_says_that_it_takes_no_times(site, made):
    body = f"""
        GPUSupportedFeatures.prototype.has = () => false;
        {OPEN_SESSION} await s.run([1]);
        await s.run([1], {{ times: true }});"""
    message = call(site.open(), body, address=made())
    assert "takes no times of kernels (timestamp-query); use another browser" in message


def test_a_loading_that_is_given_up_ends_at_once(site, made):
    body = """const controller = new AbortController();
        const onProgress = ({ phase }) => phase === "weights" && controller.abort();
        await openModel(address, { signal: controller.signal, onProgress });"""
    assert call(site.open(), body, address=made()).startswith("AbortError: ")
