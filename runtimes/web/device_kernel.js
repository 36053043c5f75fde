/**
 * Steps that launch a function of a code file over a grid of groups: the kind's part of plan.bin,
 * and the numbers of a launch.
 *
 * @module
 */

import { ensure } from "./plan_fields.js";
import { isFileName } from "./plan_parts.js";

/** In one dimension; kernels count groups in 32 bits. */
const MAX_GROUPS = 2 ** 31 - 1;

/** Invocations of a group, all dimensions together. */
const MAX_BLOCK = 1024;

/**
 * @typedef {object} Groups Groups in one dimension: ⌈(fixed + perToken · rows) / divisor⌉.
 * @property {number} fixed
 * @property {number} perToken
 * @property {number} divisor
 *
 * @typedef {object} Launch What a device kernel adds to a step.
 * @property {string} code the file of the bundle that holds the function
 * @property {string} kernel the function
 * @property {boolean} takesRows whether it takes the rows of the call after its buffers
 * @property {readonly Groups[]} grid in x, y and z
 * @property {readonly number[]} block invocations of a group in x, y and z
 */

/**
 * @param {Groups} groups
 * @param {number} rows
 */
export function countGroups({ fixed, perToken, divisor }, rows) {
  return Math.ceil((fixed + perToken * rows) / divisor); // below 2^49, so the quotient is exact
}

/**
 * @param {import("./plan_fields.js").PlanReader} reader
 * @returns {Launch}
 */
export function readLaunch(reader) {
  const code = reader.name("code");
  const kernel = reader.name("kernel");
  const takesRows = reader.u8();
  const grid = Object.freeze(reader.list(3, () => readGroups(reader)));
  const block = Object.freeze(reader.list(3, () => reader.u32()));
  ensure(/^[A-Za-z_][A-Za-z0-9_]*$/.test(kernel), `kernel '${kernel}' is not a C name`);
  ensure(isFileName(code), `${kernel} lies in '${code}', which is no name of a file`);
  ensure(takesRows <= 1, `takes_rows of ${kernel} is ${takesRows}`);
  for (const groups of grid) checkGroups(groups, kernel);
  const invocations = block.reduce((product, size) => product * size);
  ensure(
    invocations >= 1 && invocations <= MAX_BLOCK,
    `${kernel} has groups of [${block}] invocations`,
  );
  return { code, kernel, takesRows: takesRows === 1, grid, block };
}

/**
 * @param {import("./plan_fields.js").PlanReader} reader
 * @returns {Groups}
 */
function readGroups(reader) {
  return Object.freeze({ fixed: reader.u32(), perToken: reader.u32(), divisor: reader.u32() });
}

/**
 * @param {Groups} groups
 * @param {string} kernel
 */
function checkGroups({ fixed, perToken, divisor }, kernel) {
  ensure(divisor > 0, `${kernel} divides its groups by 0`);
  ensure(fixed + perToken > 0, `${kernel} has a dimension without groups`);
}

/**
 * Refuses more groups than a kernel counts.
 *
 * @param {Launch} launch
 * @param {number} maxTokens
 */
export function checkRows({ kernel, grid }, maxTokens) {
  const counts = grid.map((groups) => countGroups(groups, maxTokens));
  ensure(Math.max(...counts) <= MAX_GROUPS, `${kernel} has [${counts}] groups`);
}

/**
 * The grid of a call as WebGPU dispatches it. A dimension holds 65535 groups, so kernels take
 * `z · num_workgroups.x + x` for their x, and leave when it is above {@link lastGroup}.
 *
 * @param {Launch} launch
 * @param {number} rows
 * @param {number} most groups in a dimension
 * @returns {[number, number, number]}
 */
export function dispatchGrid({ grid }, rows, most) {
  const [x, y] = grid.map((groups) => countGroups(groups, rows));
  const layers = Math.ceil(x / most);
  return [Math.ceil(x / layers), y, layers];
}

/**
 * The scalars that follow the buffers in a uniform: the rows of the call, where the kernel takes
 * them, and the last group in x (`packGridDimX` of TVM's code).
 *
 * @param {Launch} launch
 * @param {number} rows
 */
export function uniformsOf({ takesRows, grid }, rows) {
  const lastGroup = countGroups(grid[0], rows) - 1;
  return takesRows ? [rows, lastGroup] : [lastGroup];
}
