/**
 * The kernels of a bundle on the device: a pipeline for each, and for each access to its buffers.
 *
 * @module
 */

import { BundleError } from "./errors.js";
import { rangesOf } from "./gpu_needs.js";

/**
 * @typedef {import("./gpu.js").Gpu} Gpu
 * @typedef {import("./bundle.js").Bundle} Bundle
 * @typedef {import("./plan_segment.js").Step} Step
 * @typedef {import("./gpu_needs.js").Range} Range
 *
 * @typedef {object} Kernel
 * @property {GPUComputePipeline} pipeline
 * @property {GPUBindGroupLayout} layout the step's buffers in their order, and then a uniform
 *
 * @typedef {object} Wanted
 * @property {Step} step the first that needs the kernel
 * @property {Range[]} ranges
 */

/** The pipelines of a plan. */
export class Program {
  #kernels;

  /** @param {Map<string, Kernel>} kernels */
  constructor(kernels) {
    this.#kernels = kernels;
  }

  /**
   * Builds the kernels of a bundle.
   *
   * @param {Gpu} gpu
   * @param {Bundle} bundle
   * @param {(done: number, total: number) => void} [onBuilt]
   */
  static async build(gpu, { plan, code }, onBuilt) {
    const wanted = [...wantedKernels(plan)];
    let done = 0;
    const build = async (/** @type {[string, Wanted]} */ [key, { step, ranges }]) => {
      const source = code.get(step.code)?.get(step.kernel) ?? "";
      const kernel = await buildKernel(gpu.device, step, source, ranges);
      onBuilt?.(++done, wanted.length);
      return /** @type {[string, Kernel]} */ ([key, kernel]);
    };
    const built = await gpu.checked("the kernels", () => Promise.all(wanted.map(build)));
    return new Program(new Map(built));
  }

  /**
   * The kernel of a step.
   *
   * @param {Step} step
   * @param {Range[]} ranges
   */
  kernelOf(step, ranges) {
    return /** @type {Kernel} */ (this.#kernels.get(keyOf(step, ranges)));
  }
}

/**
 * @param {import("./plan.js").Plan} plan
 * @returns {Map<string, Wanted>}
 */
function wantedKernels(plan) {
  const wanted = new Map();
  for (const { steps, maxTokens } of plan.segments) {
    for (const step of steps) {
      const ranges = rangesOf(plan, step, maxTokens);
      wanted.set(keyOf(step, ranges), { step, ranges });
    }
  }
  return wanted;
}

/**
 * @param {Step} step
 * @param {Range[]} ranges
 */
function keyOf({ code, kernel }, ranges) {
  const access = ranges.map(({ isWritable }) => (isWritable ? "w" : "r")).join("");
  return `${code} ${kernel} ${access}`;
}

/**
 * @param {GPUDevice} device
 * @param {Step} step
 * @param {string} source
 * @param {Range[]} ranges
 * @returns {Promise<Kernel>}
 */
async function buildKernel(device, { code, kernel }, source, ranges) {
  const layout = device.createBindGroupLayout({ label: kernel, entries: entriesOf(ranges) });
  const module = device.createShaderModule({ label: kernel, code: source });
  const descriptor = {
    label: kernel,
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: kernel },
  };
  try {
    return { pipeline: await device.createComputePipelineAsync(descriptor), layout };
  } catch (error) {
    throw new BundleError(
      `The kernel ${kernel} of ${code} cannot be built (${await reason(module, error)}); compile ` +
        "the model again, or use another browser.",
    );
  }
}

/**
 * @param {Range[]} ranges
 * @returns {GPUBindGroupLayoutEntry[]}
 */
function entriesOf(ranges) {
  const visibility = GPUShaderStage.COMPUTE;
  const buffers = ranges.map(({ isWritable }, binding) => {
    /** @type {GPUBufferBindingType} */
    const type = isWritable ? "storage" : "read-only-storage";
    return { binding, visibility, buffer: { type } };
  });
  return [...buffers, { binding: ranges.length, visibility, buffer: { type: "uniform" } }];
}

/**
 * @param {GPUShaderModule} module
 * @param {unknown} error
 */
async function reason(module, error) {
  const { messages } = await module.getCompilationInfo();
  const first = messages.find(({ type }) => type === "error");
  const text = first ? `line ${first.lineNum}: ${first.message}` : String(error);
  return text.split("\n")[0].slice(0, 300);
}
