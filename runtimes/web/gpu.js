/**
 * The graphics device: how it is got, and how its faults become one sentence.
 *
 * @module
 */

import { DeviceError, OsscError } from "./errors.js";
import { checkLimits } from "./gpu_needs.js";

/** How long a call that failed waits to learn whether the device was lost, in ms. */
const LOSS_NEWS_MS = 1000;

const TIMES = "timestamp-query";

/**
 * Asks the browser for an adapter.
 *
 * @throws {DeviceError} there is none
 */
export async function requestAdapter() {
  if (!globalThis.isSecureContext) {
    throw new DeviceError(
      "This page was not loaded securely, and browsers allow WebGPU to secure pages only; load " +
        "it from https:// or from http://localhost.",
    );
  }
  if (!navigator.gpu) {
    throw new DeviceError(
      "This browser has no WebGPU; use a current Chrome, Edge, Safari or Firefox, or turn " +
        "WebGPU on in its settings.",
    );
  }
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  if (adapter) return adapter;
  throw new DeviceError(
    "The browser found no graphics adapter for WebGPU; turn on hardware acceleration in its " +
      "settings, update the graphics driver, or use another machine.",
  );
}

/** A device with the limits that a plan needs. */
export class Gpu {
  /** @type {GPUDeviceLostInfo | null} */
  #lost = null;

  /**
   * @param {GPUDevice} device
   * @param {GPUAdapterInfo} info
   */
  constructor(device, info) {
    this.device = device;
    this.info = info;
    /** Whether the times of kernels can be taken. */
    this.hasTimes = device.features.has(TIMES);
    void device.lost.then((lost) => (this.#lost = lost));
  }

  /**
   * @param {GPUAdapter} adapter
   * @param {import("./gpu_needs.js").Need[]} needs
   * @throws {DeviceError} the adapter lacks something, or gives no device
   */
  static async open(adapter, needs) {
    checkLimits(needs, adapter.limits);
    const requiredLimits = Object.fromEntries(needs.map(({ limit, needed }) => [limit, needed]));
    /** @type {GPUFeatureName[]} */
    const requiredFeatures = adapter.features.has(TIMES) ? [TIMES] : [];
    const descriptor = { requiredFeatures, requiredLimits };
    const device = await adapter.requestDevice(descriptor).catch((error) => {
      throw new DeviceError(`The adapter gives no device (${error.message}); reload the page.`);
    });
    return new Gpu(device, adapter.info);
  }

  /**
   * Does something with the device, and throws what it reports meanwhile.
   *
   * @template T
   * @param {string} what is done, for messages
   * @param {() => T | Promise<T>} work
   * @returns {Promise<T>}
   */
  async checked(what, work) {
    this.#refuseLost();
    const { device } = this;
    device.pushErrorScope("out-of-memory");
    device.pushErrorScope("validation");
    const outcome = await settled(work);
    const faults = [await popped(device), await popped(device)];
    if (outcome.error instanceof OsscError) throw outcome.error;
    await this.#awaitNews("error" in outcome);
    for (const fault of faults) if (fault) throw describe(what, fault);
    if ("error" in outcome) throw outcome.error;
    return /** @type {T} */ (outcome.value);
  }

  /** @param {boolean} failed */
  async #awaitNews(failed) {
    if (failed) await Promise.race([this.device.lost, sleep(LOSS_NEWS_MS)]);
    this.#refuseLost();
  }

  #refuseLost() {
    if (this.#lost === null) return;
    const why = this.#lost.message || this.#lost.reason;
    throw new DeviceError(
      `The graphics device was lost (${why}); load the model again, and close what else uses the ` +
        "device's memory.",
    );
  }

  /** Gives everything back. */
  close() {
    this.device.destroy();
  }
}

/**
 * @template T
 * @param {() => T | Promise<T>} work
 * @returns {Promise<{ value?: T, error?: unknown }>}
 */
async function settled(work) {
  try {
    return { value: await work() };
  } catch (error) {
    return { error };
  }
}

/** @param {GPUDevice} device */
function popped(device) {
  return device.popErrorScope().catch(() => null); // of a lost device
}

/**
 * @param {string} what
 * @param {GPUError} fault
 */
function describe(what, fault) {
  const why = fault.message.split("\n")[0].slice(0, 300);
  if (fault instanceof GPUOutOfMemoryError) {
    return new DeviceError(
      `The graphics device has no memory for ${what}; close what else uses it, choose KV caches ` +
        "of f16 or int8, or compile the model with a smaller --context.",
    );
  }
  return new DeviceError(`WebGPU refused ${what} (${why}); compile the model again.`);
}

/** @param {number} ms */
function sleep(ms) {
  return new Promise((done) => setTimeout(done, ms));
}
