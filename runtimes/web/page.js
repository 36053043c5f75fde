/**
 * The page: a form that loads a bundle, and one that runs token ids through it.
 *
 * `?bundle=ADDRESS` loads a bundle at once, and `&kv=TYPE` chooses the type of its KV caches.
 *
 * @module
 */

import { CallError, OsscError } from "./errors.js";
import { KernelTimes, showKernels } from "./kernel_times.js";
import { Sampler, generate, openModel } from "./model.js";

/**
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./session.js").Session} Session
 */

const MEGABYTE = 1e6;

/** @type {{ model: Model, session: Session } | null} */
let loaded = null;

/** Ends what runs at this moment. @type {AbortController | null} */
let running = null;

/**
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} type
 */
function byId(id, type) {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`The page has no ${id}.`);
}

const address = byId("address", HTMLInputElement);
const kvType = byId("kv", HTMLSelectElement);
const prompt = byId("prompt", HTMLTextAreaElement);
const answer = byId("answer", HTMLOutputElement);
const fault = byId("fault", HTMLElement);
const kernels = byId("kernels", HTMLTableElement);

/**
 * @param {string} id
 * @param {string} text
 */
function say(id, text) {
  byId(id, HTMLElement).textContent = text;
}

/**
 * @param {string} id
 * @returns {number}
 */
function numberIn(id) {
  return byId(id, HTMLInputElement).valueAsNumber;
}

/**
 * Does something that the user asked for, shows why it cannot be done, and lets it be stopped.
 *
 * @param {(signal: AbortSignal) => Promise<void>} work
 */
async function attempt(work) {
  if (running !== null) return;
  running = new AbortController();
  fault.hidden = true;
  showState();
  try {
    await work(running.signal);
  } catch (error) {
    if (!running.signal.aborted) showFault(error);
  } finally {
    running = null;
    showState();
  }
}

/** @param {unknown} error */
function showFault(error) {
  const isOurs = error instanceof OsscError;
  if (!isOurs) console.error(error);
  fault.textContent = isOurs ? error.message : `The page has a fault (${error}); reload it.`;
  fault.hidden = false;
}

/** What can be pressed now. */
function showState() {
  const busy = running !== null;
  byId("load", HTMLButtonElement).disabled = busy;
  byId("run-fields", HTMLFieldSetElement).disabled = loaded === null;
  byId("run", HTMLButtonElement).disabled = busy || loaded === null;
  byId("stop", HTMLButtonElement).disabled = !busy || loaded === null;
  byId("cancel", HTMLButtonElement).hidden = !busy || loaded !== null;
  byId("progress", HTMLProgressElement).hidden = !busy || loaded !== null;
}

// ---- loading

/** @param {AbortSignal} signal */
async function load(signal) {
  loaded?.model.close();
  loaded = null;
  showState();
  say("load-state", "Looking at the bundle…");
  const began = performance.now();
  try {
    const model = await openModel(address.value, {
      kv: kvType.value === "" ? null : kvType.value,
      signal,
      onProgress: showProgress,
    });
    loaded = { model, session: await sessionOf(model) };
    say("load-state", `Loaded in ${seconds(performance.now() - began)}.`);
    showModel(model);
  } catch (error) {
    say("load-state", signal.aborted ? "Cancelled." : "Not loaded.");
    throw error;
  }
}

/** @param {Model} model */
async function sessionOf(model) {
  try {
    return await model.createSession();
  } catch (error) {
    model.close();
    throw error;
  }
}

/** @param {import("./model.js").Progress} progress */
function showProgress({ phase, done, total }) {
  const bar = byId("progress", HTMLProgressElement);
  if (phase === "bundle") bar.removeAttribute("value");
  else [bar.max, bar.value] = [Math.max(1, total), done];
  say("load-state", progressText(phase, done, total));
}

/**
 * @param {import("./model.js").Progress["phase"]} phase
 * @param {number} done
 * @param {number} total
 */
function progressText(phase, done, total) {
  if (phase === "kernels") return `${done} of ${total} kernels`;
  if (phase === "weights") return `${megabytes(done)} of ${megabytes(total)} of weights`;
  return "Looking at the bundle…";
}

/** @param {Model} model */
function showModel({ bundle, gpu }) {
  const { manifest, kv } = bundle;
  const memory = manifest.kv.get(kv);
  const taken = (memory?.stateBytes ?? 0) + (memory?.arenaBytes ?? 0);
  const name = String(manifest.model["model_type"] ?? "A model");
  say("title", name);
  document.title = `${name} in the browser`;
  showFacts([
    ["Weights", `${megabytes(manifest.weightsBytes)}, ${manifest.quantization.preset}`],
    ["Session", `${megabytes(taken)} with KV caches in ${kv}`],
    ["Context", `${manifest.context} tokens, prompts in chunks of ${manifest.prefillChunk}`],
    ["Compiled", `for ${manifest.target} by ossc ${manifest.osscVersion}`],
    ["Adapter", adapterName(gpu.info)],
  ]);
  say("context", `of a context of ${manifest.context}`);
  const times = byId("times", HTMLInputElement);
  times.disabled = !gpu.hasTimes;
  times.checked &&= gpu.hasTimes;
  if (!gpu.hasTimes) {
    say("times-hint", "This adapter takes no times of kernels (timestamp-query).");
  }
}

/** @param {GPUAdapterInfo} info */
function adapterName({ description, vendor, architecture, device }) {
  return description || [vendor, architecture, device].filter(Boolean).join(" ") || "not named";
}

/** @param {[string, string][]} facts */
function showFacts(facts) {
  const list = byId("facts", HTMLDListElement);
  list.replaceChildren(
    ...facts.flatMap(([name, value]) => {
      const [term, detail] = [document.createElement("dt"), document.createElement("dd")];
      term.textContent = name;
      detail.textContent = value;
      return [term, detail];
    }),
  );
  list.hidden = false;
}

// ---- running

/** @param {AbortSignal} signal */
async function run(signal) {
  if (loaded === null) return;
  say("run-state", "Running…");
  answer.textContent = "";
  kernels.hidden = true;
  try {
    say("run-state", endOf(await stream(loaded, parseIds(prompt.value), readOptions(signal))));
  } catch (error) {
    say("run-state", "Failed.");
    throw error;
  }
}

/**
 * @param {AbortSignal} signal
 * @returns {import("./generate.js").GenerateOptions}
 */
function readOptions(signal) {
  return {
    maxNewTokens: numberIn("max-tokens"),
    sampler: new Sampler({ temperature: numberIn("temperature"), seed: seedIn("seed") }),
    times: byId("times", HTMLInputElement).checked,
    signal,
  };
}

/**
 * @param {{ model: Model, session: Session }} loaded
 * @param {number[]} ids
 * @param {import("./generate.js").GenerateOptions} options
 */
async function stream({ model, session }, ids, options) {
  session.reset();
  const times = new KernelTimes();
  const rates = new Rates(ids.length);
  const onPrompt = () => rates.promptDone();
  const tokens = generate(model, session, ids, {
    ...options,
    onPrompt,
    onTimes: (t) => times.add(t),
  });
  let token = await tokens.next();
  for (; !token.done; token = await tokens.next()) {
    answer.append(answer.textContent === "" ? String(token.value) : ` ${token.value}`);
    answer.scrollTop = answer.scrollHeight;
    rates.token(session.position);
  }
  if (options.times) showKernels(kernels, times, model.bundle.manifest.kernels);
  return token.value;
}

/** Tokens a second, shown as they come. */
class Rates {
  #began = performance.now();
  #promptMs = 0;
  #tokens = 0;

  /** @param {number} promptTokens */
  constructor(promptTokens) {
    this.promptTokens = promptTokens;
    for (const id of ["decode-rate", "prompt-rate", "token-count", "position"]) say(id, "–");
  }

  promptDone() {
    this.#promptMs = performance.now() - this.#began;
    say("prompt-rate", rate(this.promptTokens, this.#promptMs));
  }

  /** @param {number} position */
  token(position) {
    this.#tokens += 1;
    const ms = performance.now() - this.#began - this.#promptMs;
    const decoded = this.#tokens - 1; // the first is the prompt's
    if (decoded > 0) say("decode-rate", rate(decoded, ms));
    say("token-count", String(this.#tokens));
    say("position", String(position));
  }
}

/** @param {import("./generate.js").FinishReason} reason */
function endOf(reason) {
  return {
    stop: "The model ended its answer.",
    length: "All tokens that were asked for.",
    context: "The context is full.",
    interrupted: "Stopped.",
  }[reason];
}

/** @param {string} text */
function parseIds(text) {
  const words = text.split(/[\s,[\]]+/).filter((word) => word !== "");
  const odd = words.find((word) => !/^\d{1,10}$/.test(word));
  if (odd !== undefined) {
    throw new CallError(`'${odd.slice(0, 40)}' is no token id; give numbers such as 1, 2, 3.`);
  }
  return words.map(Number);
}

/** @param {string} id */
function seedIn(id) {
  const text = byId(id, HTMLInputElement).value;
  if (/^\d+$/.test(text)) return BigInt(text);
  throw new CallError(`The seed is '${text}'; it has to be a number without a fraction.`);
}

/**
 * @param {number} count
 * @param {number} ms
 */
function rate(count, ms) {
  const perSecond = (1000 * count) / Math.max(ms, 0.001);
  return perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toPrecision(3);
}

/** @param {number} ms */
function seconds(ms) {
  return `${(ms / 1000).toPrecision(2)} s`;
}

/** @param {number} bytes */
function megabytes(bytes) {
  return bytes < MEGABYTE ? `${Math.ceil(bytes / 1000)} kB` : `${(bytes / MEGABYTE).toFixed(0)} MB`;
}

// ---- what the user does

/**
 * @param {string} id
 * @param {(signal: AbortSignal) => Promise<void>} work
 */
function onSubmit(id, work) {
  byId(id, HTMLFormElement).addEventListener("submit", (event) => {
    event.preventDefault();
    void attempt(work);
  });
}

/** Ends what runs. */
function stop() {
  running?.abort();
}

onSubmit("load-form", load);
onSubmit("run-form", run);
byId("cancel", HTMLButtonElement).addEventListener("click", stop);
byId("stop", HTMLButtonElement).addEventListener("click", stop);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") stop();
});
prompt.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
  event.preventDefault();
  byId("run-form", HTMLFormElement).requestSubmit(byId("run", HTMLButtonElement));
});

/** Does what the page's own address asks for. */
function begin() {
  const asked = new URLSearchParams(location.search);
  const [bundle, kv] = [asked.get("bundle"), asked.get("kv") ?? ""];
  kvType.value = kv;
  if (kvType.value !== kv) {
    kvType.value = "";
    showFault(new CallError(`The address asks for KV caches of '${kv}'; choose a type here.`));
  } else if (bundle !== null) {
    address.value = bundle;
    void attempt(load);
  }
}

showState();
begin();
