/**
 * Devices, spaces and tensors of a plan: where the buffers lie, and what they mean.
 *
 * @module
 */

import { ensure } from "./plan_fields.js";

/** Rows of the current call, where a shape says this. */
export const N_TOKENS = -1;

/** Bound on sizes and dimensions: what is computed from them stays exact, or is refused. */
export const MAX_SPACE_BYTES = 2 ** 48;

const LEAST_ALIGNMENT_BYTES = 64;
const MOST_ALIGNMENT_BYTES = 4096;
const MAX_DIMENSIONS = 8;

/** What a space is for. */
export const Use = Object.freeze({ WEIGHTS: 0, STATE: 1, ARENA: 2 });
const USES = ["weights", "state", "arena"];

/** Element types; the index is the number in plan.bin. */
export const DTYPES = Object.freeze([
  { name: "f32", bytes: 4 },
  { name: "i8", bytes: 1 },
  { name: "u8", bytes: 1 },
  { name: "i32", bytes: 4 },
  { name: "i64", bytes: 8 },
  { name: "bf16", bytes: 2 },
  { name: "u16", bytes: 2 },
  { name: "f16", bytes: 2 },
  { name: "bool", bytes: 1 },
  { name: "i16", bytes: 2 },
]);

/** What the numbers of a buffer mean: the name, and the types that it may have; null: all. */
const ROLES = Object.freeze([
  { name: "other", dtypes: null },
  { name: "token ids", dtypes: ["i64", "i32"] },
  { name: "positions", dtypes: ["i64", "i32"] },
  { name: "hidden", dtypes: ["f32"] },
  { name: "logits", dtypes: ["f32"] },
  { name: "weights", dtypes: null },
  { name: "expert offsets", dtypes: ["i64"] },
  { name: "expert indices", dtypes: ["i32"] },
  { name: "expert bounds", dtypes: ["i32"] },
  { name: "expert order", dtypes: ["i32"] },
  { name: "codes", dtypes: ["i8", "i16"] },
  { name: "code scales", dtypes: ["f32"] },
  { name: "code sums", dtypes: ["f32"] },
  { name: "cache", dtypes: null },
]);

/** Those roles that the host asks for. */
export const Role = Object.freeze({
  TOKEN_IDS: 1,
  POSITIONS: 2,
  HIDDEN: 3,
  LOGITS: 4,
  WEIGHTS: 5,
  EXPERT_OFFSETS: 6,
  EXPERT_INDICES: 7,
  EXPERT_BOUNDS: 8,
  CACHE: 13,
});

/**
 * @typedef {object} Device What executes steps.
 * @property {string} kind
 * @property {number} index which of several of that kind
 *
 * @typedef {object} Space Memory of a device.
 * @property {number} use a {@link Use}
 * @property {number} device
 * @property {number} alignmentBytes
 * @property {number} sizeBytes
 * @property {string} file that holds these bytes, for weights
 *
 * @typedef {object} Tensor A place in a space, with a meaning, a type and a shape.
 * @property {number} space
 * @property {number} role
 * @property {number} dtype
 * @property {number} offsetBytes
 * @property {readonly number[]} shape row-major; at most one dimension is {@link N_TOKENS}
 */

/** @param {number} role */
export function roleName(role) {
  return ROLES[role].name;
}

/** @param {number} use */
export function useName(use) {
  return USES[use];
}

/**
 * @param {import("./plan_fields.js").PlanReader} reader
 * @returns {Device}
 */
export function readDevice(reader) {
  const kind = reader.name("device");
  ensure(/^[a-z][a-z0-9_]*$/.test(kind), `'${kind}' is no kind of device`);
  return Object.freeze({ kind, index: reader.u32() });
}

/**
 * @param {import("./plan_fields.js").PlanReader} reader
 * @returns {Space}
 */
export function readSpace(reader) {
  const use = reader.u8();
  ensure(use < USES.length, `a space has the use ${use}, which this version does not know`);
  const device = reader.u8();
  const alignmentBytes = reader.u32();
  const sizeBytes = reader.u64();
  const file = reader.name("file");
  ensure(isAlignment(alignmentBytes), `a space is aligned to ${alignmentBytes} bytes`);
  ensure(sizeBytes <= MAX_SPACE_BYTES, `a space of ${sizeBytes} bytes is out of range`);
  ensure(
    use === Use.WEIGHTS ? isFileName(file) : file === "",
    `a space of ${USES[use]} lies in the file '${file}'`,
  );
  return Object.freeze({ use, device, alignmentBytes, sizeBytes, file });
}

/** @param {number} bytes */
function isAlignment(bytes) {
  const isPower = Number.isInteger(Math.log2(bytes));
  return isPower && bytes >= LEAST_ALIGNMENT_BYTES && bytes <= MOST_ALIGNMENT_BYTES;
}

/** @param {string} name of a file in a bundle, which has no folders */
export function isFileName(name) {
  return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(name);
}

/**
 * @param {import("./plan_fields.js").PlanReader} reader
 * @param {readonly Space[]} spaces
 * @returns {Tensor}
 */
export function readTensor(reader, spaces) {
  const [space, role, dtype, dimensions] = reader.bytes(4);
  const offsetBytes = reader.u64();
  const shape = Object.freeze(reader.list(dimensions, () => reader.i64()));
  const tensor = Object.freeze({ space, role, dtype, offsetBytes, shape });
  ensure(space < spaces.length, `a buffer is in space ${space}, which is not there`);
  ensure(role < ROLES.length, `role ${role} is unknown`);
  ensure(dtype < DTYPES.length, `dtype ${dtype} is unknown`);
  checkPlace(tensor, spaces[space]);
  checkShape(shape);
  checkRole(tensor, spaces[space].use);
  return tensor;
}

/**
 * @param {Tensor} tensor
 * @param {Space} space
 */
function checkPlace({ offsetBytes }, { alignmentBytes }) {
  ensure(offsetBytes <= MAX_SPACE_BYTES, `offset ${offsetBytes} is out of range`);
  ensure(
    offsetBytes % alignmentBytes === 0,
    `offset ${offsetBytes} is not a multiple of ${alignmentBytes}`,
  );
}

/** @param {readonly number[]} shape */
function checkShape(shape) {
  const sizes = shape.filter((size) => size !== N_TOKENS);
  ensure(shape.length <= MAX_DIMENSIONS, `shape [${shape}] has too many dimensions`);
  ensure(shape.length - sizes.length <= 1, `shape [${shape}] has two dimensions of n_tokens`);
  ensure(
    sizes.every((size) => size > 0 && size <= MAX_SPACE_BYTES),
    `shape [${shape}] is not valid`,
  );
}

/**
 * @param {Tensor} tensor
 * @param {number} use of its space
 */
function checkRole({ role, dtype }, use) {
  const { name, dtypes } = ROLES[role];
  const isWeights = role === Role.WEIGHTS;
  const fits = use === Use.WEIGHTS ? isWeights || role === Role.EXPERT_OFFSETS : !isWeights;
  ensure(fits, `a buffer of the role '${name}' is in a space of ${USES[use]}`);
  ensure(role !== Role.CACHE || use === Use.STATE, "a cache is not in a state");
  ensure(
    dtypes === null || dtypes.includes(DTYPES[dtype].name),
    `a buffer of the role '${name}' is ${DTYPES[dtype].name}`,
  );
}

/**
 * Bytes of a buffer when a call has so many rows.
 *
 * @param {Tensor} tensor
 * @param {number} rows
 */
export function sizeBytes({ shape, dtype }, rows) {
  return shape.reduce(
    (size, each) => size * (each === N_TOKENS ? rows : each),
    DTYPES[dtype].bytes,
  );
}

/**
 * Whether the shape is [rows], or [rows, columns]. A buffer for at most one row may say 1.
 *
 * @param {Tensor} tensor
 * @param {number | null} columns null: no second dimension
 * @param {number} maxTokens
 */
export function hasRows({ shape }, columns, maxTokens) {
  const [rows, ...tail] = shape;
  const isRows = rows === N_TOKENS || (maxTokens === 1 && rows === 1);
  return (
    isRows && (columns === null ? tail.length === 0 : tail.length === 1 && tail[0] === columns)
  );
}
