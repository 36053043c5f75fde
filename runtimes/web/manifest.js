/**
 * The manifest of a bundle, manifest.json: what the bundle is, and the hash of every file.
 *
 * docs/bundle-format.md specifies it. The costs of kernels and the schemes of weights are taken as
 * they are: nothing here computes with them.
 *
 * @module
 */

import { BundleError } from "./errors.js";
import { PLAN_ABI_VERSION } from "./plan.js";
import { isFileName } from "./plan_parts.js";
import { parseObject } from "./strict_json.js";

export const MANIFEST_NAME = "manifest.json";
export const DIGEST_NAME = "manifest.sha256";
export const MAX_MANIFEST_BYTES = 4 * 2 ** 20;

/** The kind of device that this host is. */
export const KIND = "webgpu";

const FORMAT_VERSION = 3;
const ROLES = ["weights", "plan", "code", "program", "tokenizer", "text", "card"];

/** The file with the plan for each type of KV cache. */
const PLAN_NAMES = new Map([
  ["f32", "plan.bin"],
  ["f16", "plan.f16.bin"],
  ["int8", "plan.int8.bin"],
]);

/**
 * @typedef {import("./strict_json.js").StrictObject} StrictObject
 *
 * @typedef {object} FileEntry
 * @property {string} role
 * @property {number} sizeBytes
 * @property {string} sha256 lowercase hex
 *
 * @typedef {object} SessionMemory What a session takes, in bytes.
 * @property {number} stateBytes
 * @property {number} arenaBytes
 * @property {number} kvBytes
 * @property {number} kvBytesPerToken
 *
 * @typedef {object} Manifest
 * @property {string} osscVersion
 * @property {Record<string, unknown>} model config fields in Hugging Face's names
 * @property {string} target
 * @property {{ preset: string, activations: string }} quantization
 * @property {number} context
 * @property {number} prefillChunk
 * @property {readonly number[]} stopTokenIds
 * @property {number} weightsBytes
 * @property {string} defaultKv
 * @property {ReadonlyMap<string, SessionMemory>} kv by type of the KV caches
 * @property {Record<string, any>} kernels costs by kernel
 * @property {ReadonlyMap<string, FileEntry>} files by name
 */

/**
 * Reads manifest.json.
 *
 * @param {Uint8Array} bytes
 * @returns {Manifest}
 * @throws {BundleError} they are not a manifest that this version reads
 */
export function readManifest(bytes) {
  const fields = parseObject(bytes, MANIFEST_NAME);
  checkVersions(fields);
  const manifest = {
    osscVersion: fields.text("ossc_version"),
    model: fields.mapping("model"),
    target: readTarget(fields.object("target")),
    quantization: readQuantization(fields.object("quantization")),
    context: fields.integer("context", 1),
    prefillChunk: fields.integer("prefill_chunk", 1),
    stopTokenIds: fields.integers("stop_token_ids"),
    ...readMemory(fields.object("memory")),
    kernels: fields.mapping("kernels"),
    files: readFiles(fields.object("files")),
  };
  fields.finish();
  for (const kv of manifest.kv.keys()) checkPlan(manifest, kv);
  return Object.freeze(manifest);
}

/** @param {StrictObject} fields */
function checkVersions(fields) {
  const version = fields.integer("format_version");
  const abi = fields.integer("plan_abi_version");
  const [feature] = fields.texts("features");
  if (version !== FORMAT_VERSION || abi !== PLAN_ABI_VERSION) {
    throw new BundleError(
      `The bundle has format version ${version} with plans of version ${abi}, and this page ` +
        `reads ${FORMAT_VERSION} with ${PLAN_ABI_VERSION}; use the page of the ossc that wrote ` +
        "it, or compile the model again.",
    );
  }
  if (feature !== undefined) {
    throw new BundleError(
      `The bundle needs '${feature.slice(0, 40)}', which this page does not know; use the page ` +
        "of the ossc that wrote it, or compile the model again.",
    );
  }
}

/** @param {StrictObject} fields */
function readTarget(fields) {
  const name = fields.text("name");
  const kind = fields.text("kind");
  if (kind !== KIND) {
    throw new BundleError(
      `The bundle is for '${kind.slice(0, 40)}', and a browser runs ${KIND}; compile the model ` +
        `with --target ${KIND}.`,
    );
  }
  fields.mapping("host");
  fields.object("device").finish();
  fields.finish();
  return name;
}

/** @param {StrictObject} fields */
function readQuantization(fields) {
  const entry = { preset: fields.text("preset"), activations: fields.text("activations") };
  fields.list("rules");
  fields.mapping("tensors");
  fields.finish();
  return entry;
}

/** @param {StrictObject} fields */
function readMemory(fields) {
  const weightsBytes = fields.integer("weights_bytes");
  const defaultKv = fields.text("default_kv");
  const types = fields.object("kv");
  fields.finish();
  const kv = new Map(types.names().map((type) => [type, readSession(types.object(type))]));
  for (const type of [...kv.keys(), defaultKv]) {
    if (!PLAN_NAMES.has(type)) types.fail(`has KV caches of the type '${type.slice(0, 40)}'`);
  }
  if (!kv.has(defaultKv)) types.fail(`has no memory of the default '${defaultKv}'`);
  return { weightsBytes, defaultKv, kv };
}

/**
 * @param {StrictObject} fields
 * @returns {SessionMemory}
 */
function readSession(fields) {
  const entry = {
    stateBytes: fields.integer("state_bytes"),
    arenaBytes: fields.integer("arena_bytes"),
    kvBytes: fields.integer("kv_bytes"),
    kvBytesPerToken: fields.integer("kv_bytes_per_token"),
  };
  fields.finish();
  return entry;
}

/** @param {StrictObject} fields */
function readFiles(fields) {
  return new Map(fields.names().map((name) => [name, readFile(name, fields)]));
}

/**
 * @param {string} name
 * @param {StrictObject} files
 * @returns {FileEntry}
 */
function readFile(name, files) {
  const fields = files.object(name);
  const isBundleFile = isFileName(name) && name !== MANIFEST_NAME && name !== DIGEST_NAME;
  if (!isBundleFile) files.fail(`lists a file ${JSON.stringify(name)}, which no bundle has`);
  const entry = {
    role: fields.text("role"),
    sizeBytes: fields.integer("size_bytes"),
    sha256: fields.text("sha256"),
  };
  fields.finish();
  if (!ROLES.includes(entry.role)) fields.fail(`has the role '${entry.role.slice(0, 40)}'`);
  if (!/^[0-9a-f]{64}$/.test(entry.sha256)) fields.fail("has a sha256 that is not one");
  return Object.freeze(entry);
}

/**
 * @param {Pick<Manifest, "files">} manifest
 * @param {string} kv
 */
function checkPlan({ files }, kv) {
  const name = planName(kv);
  if (files.get(name)?.role !== "plan") {
    throw new BundleError(`The manifest does not list ${name} as a plan; compile the model again.`);
  }
}

/**
 * The file with the plan for a type of KV cache.
 *
 * @param {string} kv
 */
export function planName(kv) {
  return PLAN_NAMES.get(kv) ?? "";
}
