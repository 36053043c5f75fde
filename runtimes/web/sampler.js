/**
 * Choosing the next token: the likeliest, or one drawn with a temperature.
 *
 * The same seed draws the same tokens as the C runtime, as far as Math.exp agrees with its exp.
 *
 * @module
 */

import { CallError } from "./errors.js";
import { largest } from "./logits.js";

/** Draws tokens from logits. */
export class Sampler {
  #temperature;
  #state;

  /**
   * @param {object} [options]
   * @param {number} [options.temperature] 0: the likeliest token, always
   * @param {bigint} [options.seed] 0 to 2^64 - 1
   */
  constructor({ temperature = 0, seed = 0n } = {}) {
    if (!(temperature >= 0) || temperature === Infinity) {
      throw new CallError(`The temperature is ${temperature}; it has to be 0 or more.`);
    }
    if (seed < 0n || seed >= 1n << 64n) {
      throw new CallError(`The seed is ${seed}; it has to be from 0 to 2^64 - 1.`);
    }
    this.#temperature = temperature;
    this.#state = seed;
  }

  /**
   * @param {Float32Array} logits
   * @returns {number} a token id
   */
  sample(logits) {
    const best = largest(logits);
    return this.#temperature > 0 ? this.#draw(logits, logits[best], best) : best;
  }

  /**
   * @param {Float32Array} logits
   * @param {number} most the largest of them
   * @param {number} best its token
   */
  #draw(logits, most, best) {
    const weights = Float64Array.from(logits, (logit) =>
      Math.exp((logit - most) / this.#temperature),
    );
    const chosen = [...weights.keys()].filter((id) => weights[id] > 0);
    const sum = chosen.reduce((total, id) => total + weights[id], 0);
    let remaining = this.#random() * sum;
    for (const id of chosen.slice(1).reverse()) {
      remaining -= weights[id];
      if (remaining < 0) return id;
    }
    return chosen[0] ?? best;
  }

  /**
   * A number in [0, 1): splitmix64, Steele, Lea and Flood, "Fast splittable pseudorandom number
   * generators", OOPSLA 2014.
   */
  #random() {
    const mask = (1n << 64n) - 1n;
    this.#state = (this.#state + 0x9e3779b97f4a7c15n) & mask;
    let z = this.#state;
    z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
    z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & mask;
    return Number((z ^ (z >> 31n)) >> 11n) * 2 ** -53;
  }
}
