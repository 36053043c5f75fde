/**
 * Running segments of a plan: what is written before, launched, and read after.
 *
 * @module
 */

import { placeOf } from "./gpu_layout.js";
import { boundTensor } from "./plan_interface.js";
import { Role } from "./plan_parts.js";
import { SegmentLaunches } from "./segment_launches.js";

const FLOAT_BYTES = 4;

/**
 * @typedef {import("./gpu.js").Gpu} Gpu
 * @typedef {import("./plan.js").Plan} Plan
 * @typedef {import("./plan.js").Segment} Segment
 * @typedef {import("./plan.js").Tensor} Tensor
 * @typedef {import("./step_timer.js").StepTimer} StepTimer
 */

/** The segments of a plan on the buffers of one session. */
export class Executor {
  #gpu;
  #plan;
  #buffers;
  /** @type {Map<Segment, SegmentLaunches>} */
  #launches;
  #hiddenCopy; // between two places of one buffer, which WebGPU does not copy directly
  #logitsCopy; // which the host can read

  /**
   * @param {Gpu} gpu
   * @param {Plan} plan
   * @param {import("./gpu_program.js").Program} program
   * @param {import("./gpu_memory.js").Buffers} buffers of the whole plan
   */
  constructor(gpu, plan, program, buffers) {
    const { COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    const rows = plan.blockHead.maxTokens;
    const rowsOf = (/** @type {number} */ columns) => rows * columns * FLOAT_BYTES;
    this.#gpu = gpu;
    this.#plan = plan;
    this.#buffers = buffers;
    this.#launches = new Map(
      plan.segments.map((segment) => {
        return [segment, new SegmentLaunches(gpu, plan, program, buffers, segment)];
      }),
    );
    this.#hiddenCopy = gpu.device.createBuffer({
      label: "hidden",
      size: rowsOf(plan.hiddenSize),
      usage: COPY_SRC | COPY_DST,
    });
    this.#logitsCopy = gpu.device.createBuffer({
      label: "logits",
      size: rowsOf(plan.vocabSize),
      usage: MAP_READ | COPY_DST,
    });
  }

  /**
   * Runs tokens through decode or prefill.
   *
   * @param {Segment} body
   * @param {readonly number[]} tokenIds
   * @param {number} position of the first
   * @param {StepTimer | null} timer
   */
  runBody(body, tokenIds, position, timer) {
    const positions = tokenIds.map((_, index) => position + index);
    this.#write(this.#tensor(body.inputs, Role.TOKEN_IDS), tokenIds);
    this.#write(this.#tensor(body.inputs, Role.POSITIONS), positions);
    this.#submit(body, tokenIds.length, timer);
  }

  /**
   * Runs rows that the body left through the head.
   *
   * @param {Segment} body
   * @param {number} first of its rows
   * @param {number} count
   * @param {StepTimer | null} timer
   * @returns {Promise<Float32Array>} [count, vocab_size]
   */
  async runHead(body, first, count, timer) {
    const { vocabSize, head, blockHead } = this.#plan;
    const logits = new Float32Array(count * vocabSize);
    for (let done = 0; done < count;) {
      const segment = count - done === 1 ? head : blockHead;
      const rows = Math.min(count - done, segment.maxTokens);
      this.#copyHidden(body, segment, first + done, rows);
      this.#submit(segment, rows, timer);
      logits.set(await this.#readLogits(segment, rows), done * vocabSize);
      done += rows;
    }
    return logits;
  }

  /** Waits until everything that was submitted has been done. */
  finish() {
    return this.#gpu.device.queue.onSubmittedWorkDone();
  }

  /**
   * @param {readonly import("./plan_segment.js").Binding[]} bindings
   * @param {number} role
   */
  #tensor(bindings, role) {
    return /** @type {Tensor} */ (boundTensor(bindings, this.#plan.tensors, role));
  }

  /** @param {Tensor} tensor */
  #find(tensor) {
    const { buffer, offset } = placeOf(tensor, 1);
    return { buffer: /** @type {GPUBuffer} */ (this.#buffers.get(buffer)), offset };
  }

  /**
   * @param {Tensor} tensor of i32
   * @param {readonly number[]} values
   */
  #write(tensor, values) {
    const { buffer, offset } = this.#find(tensor);
    this.#gpu.device.queue.writeBuffer(buffer, offset, Int32Array.from(values));
  }

  /**
   * @param {Segment} segment
   * @param {number} rows
   * @param {StepTimer | null} timer
   */
  #submit(segment, rows, timer) {
    const launches = /** @type {SegmentLaunches} */ (this.#launches.get(segment));
    launches.prepare(rows);
    this.#encode((encoder) => launches.encode(encoder, timer));
  }

  /** @param {(encoder: GPUCommandEncoder) => void} fill */
  #encode(fill) {
    const encoder = this.#gpu.device.createCommandEncoder();
    fill(encoder);
    this.#gpu.device.queue.submit([encoder.finish()]);
  }

  /**
   * @param {Segment} body
   * @param {Segment} head
   * @param {number} first
   * @param {number} rows
   */
  #copyHidden(body, head, first, rows) {
    const rowBytes = this.#plan.hiddenSize * FLOAT_BYTES;
    const from = this.#find(this.#tensor(body.outputs, Role.HIDDEN));
    const to = this.#find(this.#tensor(head.inputs, Role.HIDDEN));
    const begin = from.offset + first * rowBytes;
    const size = rows * rowBytes;
    this.#encode((encoder) => {
      encoder.copyBufferToBuffer(from.buffer, begin, this.#hiddenCopy, 0, size);
      encoder.copyBufferToBuffer(this.#hiddenCopy, 0, to.buffer, to.offset, size);
    });
  }

  /**
   * @param {Segment} head
   * @param {number} rows
   */
  async #readLogits(head, rows) {
    const { buffer, offset } = this.#find(this.#tensor(head.outputs, Role.LOGITS));
    const size = rows * this.#plan.vocabSize * FLOAT_BYTES;
    const copy = this.#logitsCopy;
    this.#encode((encoder) => {
      encoder.copyBufferToBuffer(buffer, offset, copy, 0, size);
    });
    await copy.mapAsync(GPUMapMode.READ, 0, size);
    const logits = new Float32Array(copy.getMappedRange(0, size).slice(0));
    copy.unmap();
    return logits;
  }

  /** Gives the memory of copies and scalars back. */
  close() {
    for (const each of this.#launches.values()) each.close();
    this.#hiddenCopy.destroy();
    this.#logitsCopy.destroy();
  }
}
