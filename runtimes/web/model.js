/**
 * A model on the device: the one module that a page of one's own has to import.
 *
 * ```js
 * const model = await openModel("bundles/gpt-oss-20b/");
 * const session = await model.createSession();
 * const sampler = new Sampler({ temperature: 0 });
 * for await (const id of generate(model, session, [1, 2, 3], { sampler })) console.log(id);
 * ```
 *
 * @module
 */

import { openBundle } from "./bundle.js";
import { Gpu, requestAdapter } from "./gpu.js";
import { uploadWeights } from "./gpu_memory.js";
import { checkForWebGpu, needsOf } from "./gpu_needs.js";
import { Program } from "./gpu_program.js";
import { Session } from "./session.js";

export { generate } from "./generate.js";
export { Sampler } from "./sampler.js";

/**
 * @typedef {object} Progress
 * @property {"bundle" | "kernels" | "weights"} phase
 * @property {number} done bytes, or kernels
 * @property {number} total of them; 0 where it is not known
 *
 * @typedef {object} OpenOptions
 * @property {string | null} [kv] type of the KV caches; null: the bundle's default
 * @property {AbortSignal} [signal] ends the loading
 * @property {(progress: Progress) => void} [onProgress]
 */

/** Weights and kernels of a bundle; sessions share them. */
export class Model {
  #program;
  #weights;

  /**
   * @param {import("./bundle.js").Bundle} bundle
   * @param {Gpu} gpu
   * @param {Program} program
   * @param {import("./gpu_memory.js").Buffers} weights
   */
  constructor(bundle, gpu, program, weights) {
    this.bundle = bundle;
    this.gpu = gpu;
    this.#program = program;
    this.#weights = weights;
  }

  /** Makes a session at position 0. */
  createSession() {
    return Session.create(this.gpu, this.bundle.plan, this.#program, this.#weights);
  }

  /** Gives the device back, with the sessions. */
  close() {
    this.gpu.close();
  }
}

/**
 * Fetches a bundle, checks it, and brings it onto the device.
 *
 * @param {string} address of the bundle's folder, relative to the page
 * @param {OpenOptions} [options]
 * @returns {Promise<Model>}
 * @throws {import("./errors.js").OsscError} one sentence; nothing is left on the device
 */
export async function openModel(address, { kv = null, signal, onProgress } = {}) {
  const adapter = await requestAdapter();
  const bundle = await openBundle(address, kv, {
    signal,
    onBytes: counter("bundle", 0, onProgress),
  });
  checkForWebGpu(bundle.plan);
  const gpu = await Gpu.open(adapter, needsOf(bundle.plan));
  try {
    return await load(bundle, gpu, { signal, onProgress });
  } catch (error) {
    gpu.close();
    throw error;
  }
}

/**
 * @param {import("./bundle.js").Bundle} bundle
 * @param {Gpu} gpu
 * @param {OpenOptions} options
 */
async function load(bundle, gpu, { signal, onProgress }) {
  const program = await Program.build(gpu, bundle, (done, total) => {
    onProgress?.({ phase: "kernels", done, total });
  });
  const onBytes = counter("weights", bundle.manifest.weightsBytes, onProgress);
  const weights = await uploadWeights(gpu, bundle, { signal, onBytes });
  signal?.throwIfAborted();
  return new Model(bundle, gpu, program, weights);
}

/**
 * @param {Progress["phase"]} phase
 * @param {number} total
 * @param {OpenOptions["onProgress"]} onProgress
 */
function counter(phase, total, onProgress) {
  let done = 0;
  return (/** @type {number} */ bytes) => onProgress?.({ phase, done: (done += bytes), total });
}
