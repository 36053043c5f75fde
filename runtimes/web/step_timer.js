/**
 * Times of steps, from timestamps that the device writes around each.
 *
 * @module
 */

/** Steps whose two timestamps fit into one set. */
const SET_STEPS = 2048;

const STAMP_BYTES = 8;

/**
 * @typedef {import("./plan_segment.js").Step} Step
 *
 * @typedef {object} StepTime
 * @property {Step} step
 * @property {number} ns nanoseconds, as coarse as the browser makes them
 */

/** Takes the times of one call, which may run several segments. */
export class StepTimer {
  #device;
  /** @type {GPUQuerySet[]} */
  #sets = [];
  /** @type {Step[]} */
  #steps = [];

  /** @param {GPUDevice} device that has timestamp-query */
  constructor(device) {
    this.#device = device;
  }

  /**
   * What a pass has to write for a step.
   *
   * @param {Step} step
   * @returns {GPUComputePassTimestampWrites}
   */
  stamps(step) {
    const index = this.#steps.length % SET_STEPS;
    if (index === 0) this.#sets.push(this.#newSet());
    this.#steps.push(step);
    return {
      querySet: /** @type {GPUQuerySet} */ (this.#sets.at(-1)),
      beginningOfPassWriteIndex: 2 * index,
      endOfPassWriteIndex: 2 * index + 1,
    };
  }

  #newSet() {
    return this.#device.createQuerySet({ type: "timestamp", count: 2 * SET_STEPS });
  }

  /**
   * Waits for the times, and gives the memory back.
   *
   * @returns {Promise<StepTime[]>} in the order of the steps
   */
  async read() {
    const stamps = await Promise.all(this.#sets.map((set) => this.#readSet(set)));
    return this.#steps.map((step, index) => {
      const set = stamps[Math.floor(index / SET_STEPS)];
      const at = 2 * (index % SET_STEPS);
      return { step, ns: Math.max(0, Number(set[at + 1] - set[at])) };
    });
  }

  /** @param {GPUQuerySet} set */
  async #readSet(set) {
    const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    const size = 2 * SET_STEPS * STAMP_BYTES;
    const resolved = this.#device.createBuffer({ size, usage: QUERY_RESOLVE | COPY_SRC });
    const readable = this.#device.createBuffer({ size, usage: MAP_READ | COPY_DST });
    const encoder = this.#device.createCommandEncoder();
    encoder.resolveQuerySet(set, 0, 2 * SET_STEPS, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, readable, 0, size);
    this.#device.queue.submit([encoder.finish()]);
    await readable.mapAsync(GPUMapMode.READ);
    const stamps = new BigUint64Array(readable.getMappedRange().slice(0));
    for (const each of [set, resolved, readable]) each.destroy();
    return stamps;
  }
}
