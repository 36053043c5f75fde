/**
 * Little-endian fields of plan.bin: a reader that refuses what is cut or odd.
 *
 * @module
 */

import { BundleError } from "./errors.js";

/**
 * Refuses a plan unless a condition holds.
 *
 * @param {boolean} holds
 * @param {string} fault
 */
export function ensure(holds, fault) {
  if (!holds) {
    throw new BundleError(`The execution plan is not valid: ${fault}; compile the model again.`);
  }
}

/** What a terminal or page shows as something else: as in Python's str.isprintable. */
const UNPRINTABLE = /[\p{C}\p{Z}]/u;

/** Longest name, in bytes of UTF-8. */
const MAX_NAME_BYTES = 255;

/** Takes the fields of a plan in order from bytes that nobody vouches for. */
export class PlanReader {
  #bytes;
  #view;
  #offset = 0;

  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /**
   * Moves over the next bytes.
   *
   * @param {number} length
   * @returns {number} where they begin
   */
  #pass(length) {
    const begin = this.#offset;
    const end = begin + length;
    if (end > this.#bytes.length) {
      throw new BundleError(
        `plan.bin ends at byte ${this.#bytes.length} inside a field that ends at ${end}; ` +
          "compile the model again.",
      );
    }
    this.#offset = end;
    return begin;
  }

  /**
   * The next bytes.
   *
   * @param {number} length
   */
  bytes(length) {
    const begin = this.#pass(length);
    return this.#bytes.subarray(begin, begin + length);
  }

  u8() {
    return this.#view.getUint8(this.#pass(1));
  }

  u16() {
    return this.#view.getUint16(this.#pass(2), true);
  }

  u32() {
    return this.#view.getUint32(this.#pass(4), true);
  }

  i32() {
    return this.#view.getInt32(this.#pass(4), true);
  }

  /** Exact up to 2^53; a larger one becomes a number near it, which every bound here refuses. */
  u64() {
    return Number(this.#view.getBigUint64(this.#pass(8), true));
  }

  /** As exact as {@link u64}. */
  i64() {
    return Number(this.#view.getBigInt64(this.#pass(8), true));
  }

  /**
   * The next values, one after the other.
   *
   * @template T
   * @param {number} count
   * @param {() => T} take reads one
   */
  list(count, take) {
    /** @type {T[]} */
    const taken = [];
    for (let i = 0; i < count; ++i) taken.push(take());
    return taken;
  }

  /**
   * The next name.
   *
   * @param {string} what it names, for messages
   */
  name(what) {
    const size = this.u16();
    const name = this.#text(size);
    ensure(size <= MAX_NAME_BYTES, `${what} '${name.slice(0, 40)}…' is ${size} bytes long`);
    ensure(
      !UNPRINTABLE.test(name.replaceAll(" ", "")),
      `${what} ${JSON.stringify(name)} has characters that cannot be printed`,
    );
    return name;
  }

  /** @param {number} size */
  #text(size) {
    const data = this.bytes(size);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
    } catch {
      throw new BundleError(
        `plan.bin holds a name that is not UTF-8 at byte ${this.#offset - size}; ` +
          "compile the model again.",
      );
    }
  }

  /** Refuses bytes that are left over. */
  finish() {
    const left = this.#bytes.length - this.#offset;
    if (left > 0) {
      throw new BundleError(`plan.bin has ${left} bytes after its end; compile the model again.`);
    }
  }
}
