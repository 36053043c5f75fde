/**
 * What the WGSL of a kernel does with its buffers, and whether a step lets it.
 *
 * @module
 */

import { BundleError } from "./errors.js";
import { placeOf } from "./gpu_layout.js";
import { Use } from "./plan_parts.js";

const DECLARATION = /@group\(0\)\s*@binding\((\d+)\)\s*var\s*<\s*storage\s*(?:,\s*(\w+)\s*)?>/gu;

/**
 * @typedef {"read" | "read_write"} Access
 * @typedef {import("./plan.js").Plan} Plan
 * @typedef {import("./plan_segment.js").Step} Step
 */

/**
 * The access to each buffer that a kernel declares, in the order of its bindings.
 *
 * @param {string} source
 * @returns {Access[]}
 */
export function accessOf(source) {
  /** @type {Access[]} */
  const access = [];
  for (const [, binding, mode] of source.matchAll(DECLARATION)) {
    access[Number(binding)] = mode === "read_write" ? "read_write" : "read";
  }
  return access;
}

/**
 * Refuses a step that gives a kernel what WebGPU does not let it have.
 *
 * @param {Plan} plan
 * @param {Step} step
 * @param {number} maxTokens
 * @param {Access[]} access of the kernel
 */
export function checkAccess({ spaces, tensors }, step, maxTokens, access) {
  const bound = step.tensors.map((index, binding) => {
    const { use } = spaces[tensors[index].space];
    return { ...placeOf(tensors[index], maxTokens), use, access: access[binding] };
  });
  requireOf(
    access.length === bound.length && bound.every((each) => each.access),
    step,
    `binds ${bound.length} buffers to a kernel that declares ${access.length}`,
  );
  const written = bound.filter((each) => each.access === "read_write");
  const read = bound.filter((each) => each.access === "read");
  requireOf(!written.some(({ use }) => use === Use.WEIGHTS), step, "writes weights");
  requireOf(
    !written.some(({ buffer }) => read.some((each) => each.buffer === buffer)),
    step,
    "binds one buffer to be read only and to be written",
  );
  written.forEach((each, index) => {
    const isTwice = written.slice(index + 1).some((other) => overlap(each, other));
    requireOf(!isTwice, step, "binds the same bytes twice to be written");
  });
}

/**
 * @param {boolean} holds
 * @param {Step} step
 * @param {string} fault
 */
function requireOf(holds, { label, kernel }, fault) {
  if (holds) return;
  throw new BundleError(
    `The step '${label}' ${fault} (${kernel}), which WebGPU does not allow; compile the model ` +
      "again.",
  );
}

/**
 * @param {import("./gpu_layout.js").Place} a
 * @param {import("./gpu_layout.js").Place} b
 */
function overlap(a, b) {
  return a.buffer === b.buffer && a.offset < b.offset + b.size && b.offset < a.offset + a.size;
}
