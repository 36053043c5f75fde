/**
 * A session: tokens go in, logits come out, and the KV caches remember.
 *
 * @module
 */

import { CallError } from "./errors.js";
import { Executor } from "./executor.js";
import { allocateSession } from "./gpu_memory.js";
import { checkLogits } from "./logits.js";
import { StepTimer } from "./step_timer.js";

/**
 * @typedef {import("./gpu.js").Gpu} Gpu
 * @typedef {import("./plan.js").Plan} Plan
 * @typedef {import("./step_timer.js").StepTime} StepTime
 *
 * @typedef {object} CallOptions
 * @property {"last" | "all" | "none"} [logits] of which tokens
 * @property {boolean} [times] whether to take the time of every step, which slows the call down
 */

/** One conversation with a model; calls come one after the other. */
export class Session {
  #gpu;
  #plan;
  #executor;
  #buffers;
  #position = 0;
  #isRunning = false;
  /** An earlier call failed after it had replaced keys that the position still needs. */
  #isOverwritten = false;

  /** Times of the steps of the last call that asked for them. @type {readonly StepTime[]} */
  times = [];

  /**
   * @param {Gpu} gpu
   * @param {Plan} plan
   * @param {Executor} executor
   * @param {import("./gpu_memory.js").Buffers} buffers that are the session's own
   */
  constructor(gpu, plan, executor, buffers) {
    this.#gpu = gpu;
    this.#plan = plan;
    this.#executor = executor;
    this.#buffers = buffers;
  }

  /**
   * @param {Gpu} gpu
   * @param {Plan} plan
   * @param {import("./gpu_program.js").Program} program
   * @param {import("./gpu_memory.js").Buffers} weights
   */
  static async create(gpu, plan, program, weights) {
    const own = await allocateSession(gpu, plan);
    const buffers = new Map([...weights, ...own]);
    const make = () => new Executor(gpu, plan, program, buffers);
    return new Session(gpu, plan, await gpu.checked("a session", make), own);
  }

  /** Tokens that the session has seen. */
  get position() {
    return this.#position;
  }

  /** Forgets all tokens. */
  reset() {
    this.#position = 0;
    this.#isOverwritten = false;
  }

  /**
   * Runs tokens, in chunks of what the plan takes at once. A single one, and a single one left
   * over, runs as decode. The position moves when all have run.
   *
   * @param {readonly number[]} tokenIds
   * @param {CallOptions} [options]
   * @returns {Promise<Float32Array>} [vocab_size], or [tokens, vocab_size] of all, or empty
   */
  async run(tokenIds, { logits = "last", times = false } = {}) {
    this.#checkTokens(tokenIds);
    this.#isRunning = true;
    try {
      const timer = times ? this.#timer() : null;
      const all = await this.#gpu.checked("a call", () => this.#runChunks(tokenIds, logits, timer));
      this.#position += tokenIds.length;
      return all;
    } finally {
      this.#isRunning = false;
    }
  }

  #timer() {
    if (this.#gpu.hasTimes) return new StepTimer(this.#gpu.device);
    throw new CallError(
      "This adapter takes no times of kernels (timestamp-query); use another browser, or ask for " +
        "none.",
    );
  }

  /**
   * @param {readonly number[]} tokenIds
   * @param {"last" | "all" | "none"} wanted
   * @param {StepTimer | null} timer
   */
  async #runChunks(tokenIds, wanted, timer) {
    const { decode, prefill, vocabSize } = this.#plan;
    const logits = new Float32Array(countLogits(tokenIds.length, wanted) * vocabSize);
    for (let first = 0; first < tokenIds.length;) {
      const left = tokenIds.length - first;
      const body = left === 1 ? decode : prefill;
      const count = Math.min(left, body.maxTokens);
      this.#isOverwritten = first > 0; // rings have room for one chunk beyond the window
      const ids = tokenIds.slice(first, first + count);
      this.#executor.runBody(body, ids, this.#position + first, timer);
      const [row, rows] = wantedRows(wanted, count, count === left);
      const some = await this.#executor.runHead(body, row, rows, timer);
      checkLogits(some);
      logits.set(some, wanted === "all" ? first * vocabSize : 0);
      first += count;
    }
    await this.#executor.finish();
    if (timer !== null) this.times = await timer.read();
    this.#isOverwritten = false;
    return logits;
  }

  /** @param {readonly number[]} tokenIds */
  #checkTokens(tokenIds) {
    const { vocabSize } = this.#plan;
    const odd = tokenIds.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    refuseIf(this.#isRunning, "Another call of this session is running; wait for it.");
    refuseIf(
      this.#isOverwritten,
      "An earlier call failed half-way and left the session without its keys; reset it.",
    );
    refuseIf(tokenIds.length === 0, "No tokens were given; give at least one.");
    refuseIf(
      odd !== undefined,
      `Token id ${odd} is not in the vocabulary of ${vocabSize}; give ids from 0 to ` +
        `${vocabSize - 1}.`,
    );
    this.#checkContext(tokenIds.length);
  }

  /** @param {number} count */
  #checkContext(count) {
    const { context } = this.#plan;
    const at = this.#position === 0 ? "" : ` at position ${this.#position}`;
    const reset = this.#position === 0 ? "" : "reset the session, ";
    refuseIf(
      count > context - this.#position,
      `${count} tokens${at} do not fit into the context of ${context}; give fewer, ${reset}or ` +
        "compile the model with a larger --context.",
    );
  }

  /** Gives the session's memory back. */
  close() {
    this.#executor.close();
    for (const buffer of this.#buffers.values()) buffer.destroy();
  }
}

/**
 * @param {boolean} holds
 * @param {string} message
 */
function refuseIf(holds, message) {
  if (holds) throw new CallError(message);
}

/**
 * @param {number} tokens
 * @param {"last" | "all" | "none"} wanted
 */
function countLogits(tokens, wanted) {
  return { last: 1, all: tokens, none: 0 }[wanted];
}

/**
 * The rows of a chunk that the head takes: the first, and how many.
 *
 * @param {"last" | "all" | "none"} wanted
 * @param {number} count of the chunk's
 * @param {boolean} isLast chunk
 */
function wantedRows(wanted, count, isLast) {
  if (wanted === "all") return [0, count];
  return wanted === "last" && isLast ? [count - 1, 1] : [0, 0];
}
