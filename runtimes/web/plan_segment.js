/**
 * Segments of a plan: lists of steps, with what the host writes before and reads after them.
 *
 * @module
 */

import { BundleError } from "./errors.js";
import { checkRows, readLaunch } from "./device_kernel.js";
import { PlanReader, ensure } from "./plan_fields.js";

const NAMES = ["decode", "prefill", "head"];
const MAX_TOKENS = 65536;
const MAX_STEP_TENSORS = 30;

/** The kind of step that this host runs. */
const DEVICE_KERNEL = 1;

/** Kinds of the format; the index is the number in plan.bin. */
const KINDS = ["host kernel", "device kernel", "graph", "copy", "fetch experts"];

/**
 * @typedef {object} Binding An input or an output; the tensor's role says what it is.
 * @property {number} layer of the model; -1: of none
 * @property {number} tensor index
 *
 * @typedef {import("./device_kernel.js").Launch & StepFields} Step
 *
 * @typedef {object} StepFields What steps of all kinds have.
 * @property {string} label what a profile calls it
 * @property {number} layer of the model; -1: of none
 * @property {readonly number[]} tensors indices, in the order of the kernel's parameters
 *
 * @typedef {object} Segment Steps that run from first to last for 1 to maxTokens rows.
 * @property {string} name
 * @property {number} maxTokens
 * @property {readonly Binding[]} inputs
 * @property {readonly Binding[]} outputs
 * @property {readonly Step[]} steps
 */

/**
 * @param {PlanReader} reader
 * @returns {Segment}
 */
export function readSegment(reader) {
  const name = reader.name("segment");
  ensure(NAMES.includes(name), `segment '${name}' is unknown`);
  const [maxTokens, numInputs, numOutputs, numSteps] = reader.list(4, () => reader.u32());
  ensure(maxTokens >= 1 && maxTokens <= MAX_TOKENS, `${name} takes ${maxTokens} tokens`);
  ensure(name !== "decode" || maxTokens === 1, "decode takes more than one token");
  const inputs = reader.list(numInputs, () => readBinding(reader, name));
  const outputs = reader.list(numOutputs, () => readBinding(reader, name));
  const steps = reader.list(numSteps, () => readStep(reader));
  for (const step of steps) checkRows(step, maxTokens);
  return Object.freeze({ name, maxTokens, inputs, outputs, steps });
}

/**
 * @param {PlanReader} reader
 * @param {string} segment
 * @returns {Binding}
 */
function readBinding(reader, segment) {
  const layer = reader.i32();
  checkLayer(layer, segment);
  return Object.freeze({ layer, tensor: reader.u32() });
}

/**
 * @param {number} layer
 * @param {string} what
 */
function checkLayer(layer, what) {
  ensure(layer >= -1 && layer < MAX_TOKENS, `${what} has the layer ${layer}`);
}

/**
 * @param {PlanReader} reader
 * @returns {Step}
 */
function readStep(reader) {
  const kind = reader.u8();
  const part = new PlanReader(reader.bytes(reader.u32()));
  if (kind !== DEVICE_KERNEL) {
    throw new BundleError(
      `The plan has a step of the kind '${KINDS[kind] ?? kind}', which a browser cannot run; ` +
        "compile the model with --target webgpu.",
    );
  }
  const label = part.name("label");
  const layer = part.i32();
  checkLayer(layer, label);
  const count = part.u32();
  ensure(count >= 1 && count <= MAX_STEP_TENSORS, `${label} has ${count} buffers`);
  const tensors = Object.freeze(part.list(count, () => part.u32()));
  const step = Object.freeze({ label, layer, tensors, ...readLaunch(part) });
  part.finish();
  return step;
}

/**
 * Every tensor that a segment touches.
 *
 * @param {Segment} segment
 */
export function tensorIndices({ inputs, outputs, steps }) {
  const bound = [...inputs, ...outputs].map((each) => each.tensor);
  return new Set([...bound, ...steps.flatMap((step) => step.tensors)]);
}
