/**
 * The buffers of a plan on the device, and the weights in them.
 *
 * @module
 */

import { fetchFile } from "./bundle.js";
import { memoriesOf } from "./gpu_layout.js";
import { Use, useName } from "./plan_parts.js";

/**
 * @typedef {import("./gpu.js").Gpu} Gpu
 * @typedef {import("./plan.js").Plan} Plan
 * @typedef {import("./gpu_layout.js").Memory} Memory
 * @typedef {Map<string, GPUBuffer>} Buffers by the names that places have
 */

/**
 * Fetches the weights, one file after the other, and copies each to the device.
 *
 * @param {Gpu} gpu
 * @param {import("./bundle.js").Bundle} bundle
 * @param {import("./download.js").DownloadOptions} options
 * @returns {Promise<Buffers>}
 */
export async function uploadWeights(gpu, { url, manifest, plan }, options) {
  const memories = memoriesOf(plan);
  const buffers = await allocate(gpu, memories, [Use.WEIGHTS]);
  for (const [name, buffer] of buffers) {
    const { file } = /** @type {Memory} */ (memories.get(name));
    const bytes = await fetchFile(url, manifest, file, options);
    await gpu.checked("the weights", () => write(gpu.device, buffer, bytes));
  }
  return buffers;
}

/**
 * @param {GPUDevice} device
 * @param {GPUBuffer} buffer
 * @param {Uint8Array<ArrayBuffer>} bytes filled up to whole words, which is what WebGPU copies
 */
function write({ queue }, buffer, bytes) {
  const rest = bytes.length % 4;
  const words = bytes.length - rest;
  queue.writeBuffer(buffer, 0, bytes, 0, words);
  if (rest > 0) {
    const last = new Uint8Array(4);
    last.set(bytes.subarray(words));
    queue.writeBuffer(buffer, words, last);
  }
}

/**
 * Makes the buffers of a session: state, which WebGPU fills with zeros, and arena.
 *
 * @param {Gpu} gpu
 * @param {Plan} plan
 */
export function allocateSession(gpu, plan) {
  return allocate(gpu, memoriesOf(plan), [Use.STATE, Use.ARENA]);
}

/**
 * @param {Gpu} gpu
 * @param {Map<string, Memory>} memories
 * @param {number[]} uses
 * @returns {Promise<Buffers>}
 */
async function allocate(gpu, memories, uses) {
  /** @type {Buffers} */
  const buffers = new Map();
  for (const [name, memory] of memories) {
    if (!uses.includes(memory.use)) continue;
    const what = `${memory.size} bytes of ${useName(memory.use)}`;
    buffers.set(name, await gpu.checked(what, () => createBuffer(gpu.device, memory)));
  }
  return buffers;
}

/**
 * @param {GPUDevice} device
 * @param {Memory} memory
 */
function createBuffer(device, { use, size }) {
  const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
  const usage = use === Use.STATE ? STORAGE | COPY_DST | COPY_SRC : STORAGE | COPY_DST;
  return device.createBuffer({ label: useName(use), size, usage });
}
