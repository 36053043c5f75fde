/**
 * In which buffers of the device the tensors of a plan lie: those of a space in one, and some in
 * one of their own.
 *
 * WGSL lets only a value that comes from a read-only buffer decide about barriers, and no buffer
 * may be read-only and writable in one dispatch. So what kernels take the bounds of such loops from
 * does not lie with the rest of the state or scratch.
 *
 * @module
 */

import { Role, sizeBytes } from "./plan_parts.js";
import { tensorIndices } from "./plan_segment.js";

/** Roles of tensors that have a buffer of their own. @type {ReadonlySet<number>} */
const APART = new Set([Role.TOKEN_IDS, Role.POSITIONS, Role.EXPERT_BOUNDS]);

/**
 * @typedef {import("./plan.js").Plan} Plan
 * @typedef {import("./plan_parts.js").Tensor} Tensor
 *
 * @typedef {object} Place The bytes of a tensor.
 * @property {string} buffer
 * @property {number} offset
 * @property {number} size a multiple of 4
 *
 * @typedef {object} Memory A buffer of the device.
 * @property {number} use what the space is for
 * @property {string} file that holds its bytes, for weights
 * @property {number} size a multiple of 4, and not 0
 */

/**
 * Where a tensor lies when it has so many rows.
 *
 * @param {Tensor} tensor
 * @param {number} rows
 * @returns {Place}
 */
export function placeOf(tensor, rows) {
  const { space, role, offsetBytes } = tensor;
  const size = roundUp(sizeBytes(tensor, rows));
  if (APART.has(role)) return { buffer: `${space}+${offsetBytes}`, offset: 0, size };
  return { buffer: `${space}`, offset: offsetBytes, size };
}

/**
 * The buffers that a plan needs, by the names that places have.
 *
 * @param {Plan} plan
 */
export function memoriesOf({ spaces, tensors, segments }) {
  /** @type {Map<string, Memory>} */
  const memories = new Map();
  const add = (
    /** @type {string} */ name,
    /** @type {number} */ space,
    /** @type {number} */ size,
  ) => {
    const { use, file } = spaces[space];
    memories.set(name, { use, file, size: Math.max(4, size, memories.get(name)?.size ?? 0) });
  };
  spaces.forEach((space, index) => add(`${index}`, index, roundUp(space.sizeBytes)));
  for (const segment of segments) {
    for (const index of tensorIndices(segment)) {
      const { buffer, size } = placeOf(tensors[index], segment.maxTokens);
      if (!memories.has(buffer) || APART.has(tensors[index].role))
        add(buffer, tensors[index].space, size);
    }
  }
  return memories;
}

/** @param {number} bytes */
function roundUp(bytes) {
  return Math.ceil(bytes / 4) * 4;
}
