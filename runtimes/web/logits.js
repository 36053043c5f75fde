/**
 * Logits: whether they are numbers, and which is the largest.
 *
 * @module
 */

import { CallError } from "./errors.js";

/**
 * Refuses logits that a model cannot have meant. Minus infinity rules a token out.
 *
 * @param {Float32Array} logits
 */
export function checkLogits(logits) {
  for (const logit of logits) {
    if (Number.isNaN(logit) || logit === Infinity) throw notNumbers();
  }
}

function notNumbers() {
  return new CallError(
    "The model computed logits that are not numbers: its weights are damaged, or its values are " +
      "beyond float32; check the bundle with `ossc verify BUNDLE`.",
  );
}

/**
 * The token with the largest logit; of equal ones the first.
 *
 * @param {Float32Array} logits
 */
export function largest(logits) {
  let best = -1;
  let most = -Infinity;
  for (let i = 0; i < logits.length; ++i) {
    if (logits[i] > most) {
      most = logits[i];
      best = i;
    }
  }
  if (best < 0) throw notNumbers();
  return best;
}
