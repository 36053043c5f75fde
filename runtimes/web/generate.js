/**
 * From a prompt to the tokens that continue it.
 *
 * @module
 */

import { CallError } from "./errors.js";

/**
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./session.js").Session} Session
 * @typedef {import("./step_timer.js").StepTime} StepTime
 *
 * @typedef {object} GenerateOptions
 * @property {number} [maxNewTokens]
 * @property {import("./sampler.js").Sampler} sampler
 * @property {AbortSignal} [signal] ends the generation before the next chunk or token
 * @property {() => void} [onPrompt] called when the prompt has run
 * @property {boolean} [times] whether to take the times of decoded tokens' steps
 * @property {(times: readonly StepTime[]) => void} [onTimes] called with those of each token
 *
 * @typedef {"stop" | "length" | "context" | "interrupted"} FinishReason
 */

/**
 * Gives out tokens, without the stop token that ends them. Returns why they ended.
 *
 * @param {Model} model
 * @param {Session} session at position 0
 * @param {readonly number[]} promptIds
 * @param {GenerateOptions} options
 * @returns {AsyncGenerator<number, FinishReason>}
 */
export async function* generate(model, session, promptIds, options) {
  const { maxNewTokens = Infinity, sampler, signal, onPrompt, times, onTimes } = options;
  const { context, stopTokenIds } = model.bundle.manifest;
  checkPrompt(promptIds, context);
  const room = context - promptIds.length + 1; // the last token is not run, so it needs none
  const most = Math.min(maxNewTokens, room);
  let logits = await runPrompt(model, session, promptIds, signal);
  onPrompt?.();
  for (let count = 1; count <= most && !signal?.aborted; ++count) {
    const tokenId = sampler.sample(logits);
    if (stopTokenIds.includes(tokenId)) return "stop";
    yield tokenId;
    if (count === most || signal?.aborted) continue;
    logits = await session.run([tokenId], { times });
    if (times) onTimes?.(session.times);
  }
  if (signal?.aborted) return "interrupted";
  return most < maxNewTokens ? "context" : "length";
}

/**
 * @param {readonly number[]} promptIds
 * @param {number} context
 */
function checkPrompt(promptIds, context) {
  if (promptIds.length <= context) return;
  throw new CallError(
    `The prompt has ${promptIds.length} tokens and the context holds ${context}; give a shorter ` +
      "prompt, or compile the model with a larger --context.",
  );
}

/**
 * Runs the prompt chunk by chunk, so that an interruption need not wait for all of it.
 *
 * @param {Model} model
 * @param {Session} session
 * @param {readonly number[]} promptIds
 * @param {AbortSignal | undefined} signal
 */
async function runPrompt(model, session, promptIds, signal) {
  const chunk = model.bundle.manifest.prefillChunk;
  let first = 0;
  for (; first + chunk < promptIds.length && !signal?.aborted; first += chunk) {
    await session.run(promptIds.slice(first, first + chunk), { logits: "none" });
  }
  if (signal?.aborted) return new Float32Array();
  return session.run(promptIds.slice(first));
}
