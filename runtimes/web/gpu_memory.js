/**
 * The buffers of a plan on the device: one for each space.
 *
 * @module
 */

import { fetchFile } from "./bundle.js";
import { roundUp } from "./gpu_needs.js";
import { Use, useName } from "./plan_parts.js";

/**
 * @typedef {import("./gpu.js").Gpu} Gpu
 * @typedef {import("./plan.js").Plan} Plan
 * @typedef {Map<number, GPUBuffer>} Buffers by the index of the space
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
  const buffers = await allocate(gpu, plan, [Use.WEIGHTS]);
  for (const [index, buffer] of buffers) {
    const bytes = await fetchFile(url, manifest, plan.spaces[index].file, options);
    await gpu.checked("the weights", () => gpu.device.queue.writeBuffer(buffer, 0, whole(bytes)));
  }
  return buffers;
}

/**
 * Bytes filled up to whole words, which is what WebGPU copies.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
function whole(bytes) {
  if (bytes.length % 4 === 0) return bytes;
  const filled = new Uint8Array(roundUp(bytes.length));
  filled.set(bytes);
  return filled;
}

/**
 * Makes the buffers of a session: state, which WebGPU fills with zeros, and arena.
 *
 * @param {Gpu} gpu
 * @param {Plan} plan
 */
export function allocateSession(gpu, plan) {
  return allocate(gpu, plan, [Use.STATE, Use.ARENA]);
}

/**
 * @param {Gpu} gpu
 * @param {Plan} plan
 * @param {number[]} uses
 * @returns {Promise<Buffers>}
 */
async function allocate(gpu, { spaces }, uses) {
  /** @type {Buffers} */
  const buffers = new Map();
  for (const [index, { use, sizeBytes }] of spaces.entries()) {
    if (!uses.includes(use)) continue;
    const what = `${sizeBytes} bytes of ${useName(use)}`;
    const buffer = await gpu.checked(what, () => createBuffer(gpu.device, use, sizeBytes));
    buffers.set(index, buffer);
  }
  return buffers;
}

/**
 * @param {GPUDevice} device
 * @param {number} use
 * @param {number} sizeBytes
 */
function createBuffer(device, use, sizeBytes) {
  const { STORAGE, COPY_DST, COPY_SRC } = GPUBufferUsage;
  return device.createBuffer({
    label: useName(use),
    size: Math.max(4, roundUp(sizeBytes)),
    usage: use === Use.STATE ? STORAGE | COPY_DST | COPY_SRC : STORAGE | COPY_DST,
  });
}
