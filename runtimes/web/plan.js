/**
 * The execution plan of a bundle, plan.bin: which kernels run in which order on which buffers.
 *
 * docs/bundle-format.md specifies the bytes. Every rule of it is checked here, as the compiler's
 * and the C runtime's readers do, so a plan that is returned is one that can be executed.
 *
 * @module
 */

import { BundleError } from "./errors.js";
import { PlanReader, ensure } from "./plan_fields.js";
import { InterfaceCheck, boundTensor } from "./plan_interface.js";
import { Role, Use, readDevice, readSpace, readTensor, sizeBytes, useName } from "./plan_parts.js";
import { readSegment, tensorIndices } from "./plan_segment.js";

/** Version of the bytes and of what they mean; exactly one is run. */
export const PLAN_ABI_VERSION = 2;

const MAGIC = "OSSCPLAN";
const MAX_DEVICES = 16;
const MAX_SPACES = 255;
const MAX_SEGMENTS = 16;

/**
 * @typedef {import("./plan_parts.js").Space} Space
 * @typedef {import("./plan_parts.js").Tensor} Tensor
 * @typedef {import("./plan_segment.js").Segment} Segment
 *
 * @typedef {object} Plan Everything that is executed.
 * @property {number} context positions that a session can hold
 * @property {number} vocabSize
 * @property {number} hiddenSize
 * @property {readonly import("./plan_parts.js").Device[]} devices
 * @property {readonly Space[]} spaces
 * @property {readonly Tensor[]} tensors
 * @property {readonly Segment[]} segments
 * @property {Segment} decode of one token
 * @property {Segment} prefill of a chunk of a prompt
 * @property {Segment} head for one row
 * @property {Segment} blockHead for the most rows at once
 *
 * @typedef {Omit<Plan, "hiddenSize" | "decode" | "prefill" | "head" | "blockHead">} Parts as read
 */

/**
 * Reads plan.bin.
 *
 * @param {Uint8Array} bytes
 * @returns {Plan}
 * @throws {BundleError} they are not a plan that this version runs
 */
export function readPlan(bytes) {
  const reader = new PlanReader(bytes);
  const magic = new TextDecoder().decode(reader.bytes(MAGIC.length));
  ensure(magic === MAGIC, "it does not begin as a plan");
  checkAbi(reader.u32());
  const [context, vocabSize] = [reader.u32(), reader.u32()];
  ensure(context > 0 && context < 2 ** 31, `context is ${context}`);
  ensure(vocabSize > 0 && vocabSize < 2 ** 31, `vocab_size is ${vocabSize}`);
  const parts = { context, vocabSize, ...readParts(reader) };
  reader.finish();
  return checkPlan(parts);
}

/** @param {number} version */
function checkAbi(version) {
  if (version !== PLAN_ABI_VERSION) {
    throw new BundleError(
      `The plan has ABI version ${version}, and this page runs ${PLAN_ABI_VERSION}; compile the ` +
        "model again.",
    );
  }
}

/** @param {PlanReader} reader */
function readParts(reader) {
  const [numDevices, numSpaces, numTensors, numSegments] = reader.list(4, () => reader.u32());
  ensure(numDevices >= 1 && numDevices <= MAX_DEVICES, `it has ${numDevices} devices`);
  ensure(numSpaces <= MAX_SPACES, `it has ${numSpaces} spaces`);
  ensure(numSegments <= MAX_SEGMENTS, `it has ${numSegments} segments`);
  const devices = reader.list(numDevices, () => readDevice(reader));
  const spaces = reader.list(numSpaces, () => readSpace(reader));
  const tensors = reader.list(numTensors, () => readTensor(reader, spaces));
  const segments = reader.list(numSegments, () => readSegment(reader));
  return { devices, spaces, tensors, segments };
}

/**
 * @param {Parts} parts
 * @returns {Plan}
 */
function checkPlan(parts) {
  checkSpaces(parts);
  for (const segment of parts.segments) checkBounds(segment, parts);
  const plan = Object.freeze({
    ...parts,
    ...namedSegments(parts.segments),
    hiddenSize: hiddenSize(parts),
  });
  const check = new InterfaceCheck(plan, plan.decode);
  for (const segment of plan.segments) check.check(segment);
  return plan;
}

/** @param {Pick<Plan, "devices" | "spaces">} plan */
function checkSpaces({ devices, spaces }) {
  const files = spaces.filter(({ use }) => use === Use.WEIGHTS).map(({ file }) => file);
  ensure(new Set(files).size === files.length, `two spaces lie in one file of ${files}`);
  for (const { device } of spaces) {
    ensure(device < devices.length, `a space is on device ${device}`);
  }
}

/**
 * @param {Segment} segment
 * @param {Pick<Plan, "spaces" | "tensors">} plan
 */
function checkBounds(segment, { spaces, tensors }) {
  for (const index of tensorIndices(segment)) {
    ensure(index < tensors.length, `${segment.name} uses buffer ${index}, which is not there`);
    const tensor = tensors[index];
    const space = spaces[tensor.space];
    const end = tensor.offsetBytes + sizeBytes(tensor, segment.maxTokens);
    ensure(
      end <= space.sizeBytes,
      `buffer ${index} ends at byte ${end} of ${useName(space.use)}, which has ` +
        `${space.sizeBytes}`,
    );
  }
}

/** @param {readonly Segment[]} segments */
function namedSegments(segments) {
  const named = (/** @type {string} */ name) => segments.filter((each) => each.name === name);
  const [decode, prefill, heads] = ["decode", "prefill", "head"].map(named);
  const keys = segments.map(({ name, maxTokens }) => `${name} of ${maxTokens}`);
  ensure(new Set(keys).size === keys.length, `two segments are alike in ${keys}`);
  ensure(decode.length === 1, "it needs one segment decode");
  ensure(prefill.length === 1, "it needs one segment prefill");
  const head = heads.find(({ maxTokens }) => maxTokens === 1);
  ensure(head !== undefined, "it needs a head for one row");
  const blockHead = heads.reduce((most, each) => (each.maxTokens > most.maxTokens ? each : most));
  return { decode: decode[0], prefill: prefill[0], head: /** @type {Segment} */ (head), blockHead };
}

/** @param {Pick<Plan, "segments" | "tensors">} plan */
function hiddenSize({ segments, tensors }) {
  const decode = segments.find(({ name }) => name === "decode");
  const hidden = boundTensor(decode?.outputs ?? [], tensors, Role.HIDDEN);
  ensure(hidden !== undefined, "decode lacks the output hidden");
  return hidden?.shape.at(-1) ?? 0;
}
