/**
 * What a plan needs of WebGPU: rules of the API that plans for other devices need not keep, and
 * limits of the adapter.
 *
 * @module
 */

import { BundleError, DeviceError } from "./errors.js";
import { countGroups } from "./device_kernel.js";
import { memoriesOf, placeOf } from "./gpu_layout.js";
import { Role, Use } from "./plan_parts.js";

/** At what multiples a binding may begin: the most that an implementation may ask for. */
const OFFSET_ALIGNMENT_BYTES = 256;

/** Groups in a dimension that every implementation has. */
export const MAX_GROUPS = 65535;

/** The number of i32 among the types of a plan. */
const I32 = 3;

/**
 * @typedef {import("./plan.js").Plan} Plan
 * @typedef {import("./plan_segment.js").Segment} Segment
 * @typedef {import("./plan_segment.js").Step} Step
 *
 * @typedef {object} Need A limit of the adapter.
 * @property {keyof GPUSupportedLimits} limit
 * @property {number} needed
 * @property {string} what the number counts
 * @property {string} fix
 */

/**
 * Refuses a plan that no WebGPU can execute.
 *
 * @param {Plan} plan
 */
export function checkForWebGpu(plan) {
  for (const segment of plan.segments) {
    checkIds(plan, segment);
    for (const step of segment.steps) {
      checkGrid(step, segment.maxTokens);
      checkOffsets(plan, step);
    }
  }
}

/**
 * @param {boolean} holds
 * @param {Step} step
 * @param {string} fault
 */
function requireOf(holds, { label }, fault) {
  if (holds) return;
  throw new BundleError(
    `The step '${label}' ${fault}, which WebGPU does not allow; compile the model with --target ` +
      "webgpu.",
  );
}

/**
 * @param {Plan} plan
 * @param {Segment} segment
 */
function checkIds({ tensors }, { name, inputs }) {
  for (const { role, dtype } of inputs.map(({ tensor }) => tensors[tensor])) {
    if (role !== Role.HIDDEN && dtype !== I32) {
      throw new BundleError(
        `${name} takes token ids or positions of 64 bits, which WebGPU does not have; compile ` +
          "the model with --target webgpu.",
      );
    }
  }
}

/**
 * @param {Step} step
 * @param {number} maxTokens
 */
function checkGrid(step, maxTokens) {
  const [, y, z] = step.grid.map((groups) => countGroups(groups, maxTokens));
  requireOf(z === 1, step, `has ${z} groups in z`);
  requireOf(y <= MAX_GROUPS, step, `has ${y} groups in y`);
}

/**
 * @param {Plan} plan
 * @param {Step} step
 */
function checkOffsets({ tensors }, step) {
  for (const { offsetBytes } of step.tensors.map((index) => tensors[index])) {
    const isAligned = offsetBytes % OFFSET_ALIGNMENT_BYTES === 0;
    requireOf(isAligned, step, `binds a buffer at byte ${offsetBytes}`);
  }
}

/**
 * The limits that a plan needs.
 *
 * @param {Plan} plan
 * @returns {Need[]}
 */
export function needsOf(plan) {
  const steps = plan.segments.flatMap(({ steps, maxTokens }) =>
    steps.map((step) => ({ step, maxTokens })),
  );
  const sizes = steps.flatMap(({ step, maxTokens }) =>
    step.tensors.map((index) => placeOf(plan.tensors[index], maxTokens).size),
  );
  const most = (/** @type {number[]} */ values) => values.reduce((a, b) => Math.max(a, b), 0);
  const blocks = (/** @type {number} */ axis) => most(steps.map(({ step }) => step.block[axis]));
  const memories = [...memoriesOf(plan).values()].sort((a, b) => b.size - a.size);
  const smaller =
    memories[0].use === Use.WEIGHTS
      ? "compile the model with a --quant of fewer bits"
      : "choose KV caches of f16 or int8, or compile the model with a smaller --context";
  const groups = "compile the model with the ossc of this page";
  return [
    {
      limit: "maxBufferSize",
      needed: memories[0].size,
      what: "bytes in one buffer",
      fix: smaller,
    },
    {
      limit: "maxStorageBufferBindingSize",
      needed: most(sizes),
      what: "bytes in one tensor",
      fix: smaller,
    },
    {
      limit: "maxStorageBuffersPerShaderStage",
      needed: most(steps.map(({ step }) => step.tensors.length)),
      what: "buffers in one kernel",
      fix: groups,
    },
    {
      limit: "maxComputeInvocationsPerWorkgroup",
      needed: most(steps.map(({ step }) => step.block.reduce((a, b) => a * b))),
      what: "invocations in a group",
      fix: groups,
    },
    ...["X", "Y", "Z"].map((axis, index) => ({
      limit: /** @type {keyof GPUSupportedLimits} */ (`maxComputeWorkgroupSize${axis}`),
      needed: blocks(index),
      what: `invocations of a group in ${axis.toLowerCase()}`,
      fix: groups,
    })),
  ];
}

/**
 * Refuses an adapter that lacks what a plan needs.
 *
 * @param {Need[]} needs
 * @param {GPUSupportedLimits} limits
 */
export function checkLimits(needs, limits) {
  for (const { limit, needed, what, fix } of needs) {
    const has = Number(limits[limit]);
    if (needed > has) {
      throw new DeviceError(
        `The model needs ${needed} ${what} and this adapter has ${has} (${limit}); ${fix}, or ` +
          "use another browser or machine.",
      );
    }
  }
}
