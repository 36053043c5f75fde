/**
 * The dispatches of one segment on the buffers of one session.
 *
 * @module
 */

import { dispatchGrid, uniformsOf } from "./device_kernel.js";
import { placeOf } from "./gpu_layout.js";
import { MAX_GROUPS } from "./gpu_needs.js";

/** Of a kernel's scalars: a multiple of what a uniform takes, with room for two numbers. */
const UNIFORM_BYTES = 16;

/**
 * @typedef {import("./gpu.js").Gpu} Gpu
 * @typedef {import("./plan_segment.js").Segment} Segment
 * @typedef {import("./plan_segment.js").Step} Step
 *
 * @typedef {object} Launch
 * @property {Step} step
 * @property {GPUComputePipeline} pipeline
 * @property {GPUBindGroup} bindings
 */

/** Pipelines, bindings and scalars of a segment's steps. */
export class SegmentLaunches {
  #gpu;
  #uniforms;
  #slotBytes;
  #rows = 0; // of which the uniforms are
  /** @type {[number, number, number][]} */
  #grids = [];

  /**
   * @param {Gpu} gpu
   * @param {import("./plan.js").Plan} plan
   * @param {import("./gpu_program.js").Program} program
   * @param {import("./gpu_memory.js").Buffers} buffers of the whole plan
   * @param {Segment} segment
   */
  constructor(gpu, plan, program, buffers, segment) {
    this.#gpu = gpu;
    this.segment = segment;
    this.#slotBytes = Math.max(UNIFORM_BYTES, gpu.device.limits.minUniformBufferOffsetAlignment);
    this.#uniforms = gpu.device.createBuffer({
      label: `scalars of ${segment.name}`,
      size: this.#slotBytes * Math.max(1, segment.steps.length),
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    });
    /** @type {Launch[]} */
    this.launches = segment.steps.map((step, index) => {
      const { pipeline, layout } = program.kernelOf(step);
      const resources = step.tensors.map((tensor) => {
        const { buffer, offset, size } = placeOf(plan.tensors[tensor], segment.maxTokens);
        return { buffer: /** @type {GPUBuffer} */ (buffers.get(buffer)), offset, size };
      });
      resources.push(this.#slot(index));
      const entries = resources.map((resource, binding) => ({ binding, resource }));
      const bindings = gpu.device.createBindGroup({ label: step.label, layout, entries });
      return { step, pipeline, bindings };
    });
  }

  /** @param {number} index of a step */
  #slot(index) {
    return { buffer: this.#uniforms, offset: this.#slotBytes * index, size: UNIFORM_BYTES };
  }

  /**
   * Sets grids and scalars for a number of rows, unless they are.
   *
   * @param {number} rows
   */
  prepare(rows) {
    if (rows === this.#rows) return;
    const words = this.#slotBytes / 4;
    const scalars = new Uint32Array(words * this.launches.length);
    this.launches.forEach(({ step }, index) => scalars.set(uniformsOf(step, rows), words * index));
    this.#gpu.device.queue.writeBuffer(this.#uniforms, 0, scalars);
    this.#grids = this.launches.map(({ step }) => dispatchGrid(step, rows, MAX_GROUPS));
    this.#rows = rows;
  }

  /**
   * Appends all steps, in one pass, or in one for each step when times are taken.
   *
   * @param {GPUCommandEncoder} encoder
   * @param {import("./step_timer.js").StepTimer | null} timer
   */
  encode(encoder, timer) {
    if (timer === null) {
      const pass = encoder.beginComputePass();
      this.launches.forEach((_, index) => this.#dispatch(pass, index));
      pass.end();
      return;
    }
    this.launches.forEach(({ step }, index) => {
      const pass = encoder.beginComputePass({ timestampWrites: timer.stamps(step) });
      this.#dispatch(pass, index);
      pass.end();
    });
  }

  /**
   * @param {GPUComputePassEncoder} pass
   * @param {number} index
   */
  #dispatch(pass, index) {
    const { pipeline, bindings } = this.launches[index];
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindings);
    pass.dispatchWorkgroups(...this.#grids[index]);
  }

  /** Gives the memory of the scalars back. */
  close() {
    this.#uniforms.destroy();
  }
}
