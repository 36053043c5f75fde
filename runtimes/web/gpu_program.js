/**
 * The kernels of a bundle on the device: a pipeline for each.
 *
 * @module
 */

import { BundleError } from "./errors.js";
import { accessOf, checkAccess } from "./wgsl_access.js";

/**
 * @typedef {import("./gpu.js").Gpu} Gpu
 * @typedef {import("./bundle.js").Bundle} Bundle
 * @typedef {import("./plan_segment.js").Step} Step
 * @typedef {import("./wgsl_access.js").Access} Access
 *
 * @typedef {object} Kernel
 * @property {GPUComputePipeline} pipeline
 * @property {GPUBindGroupLayout} layout the step's buffers in their order, and then a uniform
 *
 * @typedef {object} Wanted
 * @property {Step} step one that needs the kernel
 * @property {string} source
 * @property {Access[]} access
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
  static async build(gpu, bundle, onBuilt) {
    const wanted = [...wantedKernels(bundle)];
    let done = 0;
    const build = async (/** @type {[string, Wanted]} */ [key, each]) => {
      const kernel = await buildKernel(gpu.device, each);
      onBuilt?.(++done, wanted.length);
      return /** @type {[string, Kernel]} */ ([key, kernel]);
    };
    const built = await gpu.checked("the kernels", () => Promise.all(wanted.map(build)));
    return new Program(new Map(built));
  }

  /** @param {Step} step */
  kernelOf(step) {
    return /** @type {Kernel} */ (this.#kernels.get(keyOf(step)));
  }
}

/**
 * @param {Bundle} bundle
 * @returns {Map<string, Wanted>}
 */
function wantedKernels({ plan, code }) {
  const wanted = new Map();
  for (const { steps, maxTokens } of plan.segments) {
    for (const step of steps) {
      const source = code.get(step.code)?.get(step.kernel) ?? "";
      const access = wanted.get(keyOf(step))?.access ?? accessOf(source);
      checkAccess(plan, step, maxTokens, access);
      wanted.set(keyOf(step), { step, source, access });
    }
  }
  return wanted;
}

/** @param {Step} step */
function keyOf({ code, kernel }) {
  return `${code} ${kernel}`;
}

/**
 * @param {GPUDevice} device
 * @param {Wanted} wanted
 * @returns {Promise<Kernel>}
 */
async function buildKernel(device, { step: { code, kernel }, source, access }) {
  const layout = device.createBindGroupLayout({ label: kernel, entries: entriesOf(access) });
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
 * @param {Access[]} access
 * @returns {GPUBindGroupLayoutEntry[]}
 */
function entriesOf(access) {
  const visibility = GPUShaderStage.COMPUTE;
  const buffers = access.map((each, binding) => {
    /** @type {GPUBufferBindingType} */
    const type = each === "read" ? "read-only-storage" : "storage";
    return { binding, visibility, buffer: { type } };
  });
  return [...buffers, { binding: access.length, visibility, buffer: { type: "uniform" } }];
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
