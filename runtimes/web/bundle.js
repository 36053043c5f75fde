/**
 * A bundle on a server: its manifest, plan and kernels, checked against each other.
 *
 * Every file that is fetched has its listed size and hash, the weights too: unlike a disk, a
 * network is not to be trusted to deliver what was stored, and hashing costs less than fetching.
 *
 * @module
 */

import { download, downloadListed, sha256 } from "./download.js";
import { BundleError } from "./errors.js";
import {
  DIGEST_NAME,
  KIND,
  MANIFEST_NAME,
  MAX_MANIFEST_BYTES,
  planName,
  readManifest,
} from "./manifest.js";
import { readPlan } from "./plan.js";
import { Use } from "./plan_parts.js";
import { parseObject } from "./strict_json.js";

/**
 * @typedef {import("./download.js").DownloadOptions} DownloadOptions
 * @typedef {import("./manifest.js").Manifest} Manifest
 * @typedef {import("./plan.js").Plan} Plan
 *
 * @typedef {object} Bundle
 * @property {URL} url of its folder
 * @property {Manifest} manifest
 * @property {string} kv type of the KV caches that the plan is for
 * @property {Plan} plan
 * @property {ReadonlyMap<string, ReadonlyMap<string, string>>} code WGSL by file and kernel
 */

/**
 * Fetches and checks everything but the weights.
 *
 * @param {string} address of the bundle's folder, relative to the page
 * @param {string | null} kv type of the KV caches; null: the bundle's default
 * @param {DownloadOptions} [options]
 * @returns {Promise<Bundle>}
 */
export async function openBundle(address, kv, options) {
  const url = folderUrl(address);
  const manifest = await fetchManifest(url, options);
  const chosen = chooseKv(manifest, kv);
  const plan = readPlan(await fetchFile(url, manifest, planName(chosen), options));
  checkAgreement(manifest, plan, chosen);
  const code = await fetchCode(url, manifest, plan, options);
  return Object.freeze({ url, manifest, kv: chosen, plan, code });
}

/** @param {string} address */
function folderUrl(address) {
  try {
    const url = new URL(address, document.baseURI);
    if (!url.pathname.endsWith("/")) url.pathname += "/";
    url.search = url.hash = "";
    return url;
  } catch {
    throw new BundleError(`'${address}' is no address; give that of a bundle's folder.`);
  }
}

/**
 * @param {URL} url
 * @param {DownloadOptions} [options]
 */
async function fetchManifest(url, options) {
  const bytes = await download(new URL(MANIFEST_NAME, url), MAX_MANIFEST_BYTES, options);
  const digest = await download(new URL(DIGEST_NAME, url), 65, options);
  if (new TextDecoder().decode(digest) !== `${await sha256(bytes)}\n`) {
    throw new BundleError(
      `${MANIFEST_NAME} of ${url} does not have the hash in ${DIGEST_NAME}: the bundle is ` +
        "damaged; copy or compile it again.",
    );
  }
  return readManifest(bytes);
}

/**
 * Fetches a file that the manifest lists.
 *
 * @param {URL} url of the folder
 * @param {Manifest} manifest
 * @param {string} name
 * @param {DownloadOptions} [options]
 */
export function fetchFile(url, manifest, name, options) {
  const entry = manifest.files.get(name);
  if (entry) return downloadListed(new URL(name, url), entry, options);
  throw new BundleError(`The manifest does not list ${name}; compile the model again.`);
}

/**
 * @param {Manifest} manifest
 * @param {string | null} kv
 */
function chooseKv({ kv: known, defaultKv }, kv) {
  if (kv === null || known.has(kv)) return kv ?? defaultKv;
  throw new BundleError(
    `The bundle has no plan for KV caches of the type '${kv.slice(0, 40)}'; it has ` +
      `${[...known.keys()].join(", ")}.`,
  );
}

/**
 * Refuses a manifest and a plan that are not of one bundle.
 *
 * @param {Manifest} manifest
 * @param {Plan} plan
 * @param {string} kv
 */
function checkAgreement(manifest, plan, kv) {
  const memory = /** @type {import("./manifest.js").SessionMemory} */ (manifest.kv.get(kv));
  const weights = plan.spaces.filter(({ use }) => use === Use.WEIGHTS);
  const listed = [...manifest.files].filter(([, { role }]) => role === "weights");
  /** @type {[string, string | number, string | number][]} */
  const pairs = [
    ["the devices", KIND, plan.devices.map(({ kind }) => kind).join(", ")],
    ["context", manifest.context, plan.context],
    ["prefill_chunk", manifest.prefillChunk, plan.prefill.maxTokens],
    ["weights_bytes", manifest.weightsBytes, totalBytes(plan, Use.WEIGHTS)],
    ["state_bytes", memory.stateBytes, totalBytes(plan, Use.STATE)],
    ["arena_bytes", memory.arenaBytes, totalBytes(plan, Use.ARENA)],
    [
      "the files of weights",
      names(listed.map(([name]) => name)),
      names(weights.map((s) => s.file)),
    ],
    ...weights.map(({ file, sizeBytes }) => {
      return size(file, manifest.files.get(file)?.sizeBytes ?? -1, sizeBytes);
    }),
  ];
  for (const [what, ours, theirs] of pairs) {
    if (ours !== theirs) {
      throw new BundleError(
        `The manifest says ${ours} for ${what} and the plan ${theirs}; compile the model again.`,
      );
    }
  }
}

/**
 * @param {Plan} plan
 * @param {number} use
 */
function totalBytes({ spaces }, use) {
  return spaces.reduce((sum, space) => sum + (space.use === use ? space.sizeBytes : 0), 0);
}

/** @param {string[]} files */
function names(files) {
  return files.sort().join(", ");
}

/**
 * @param {string} file
 * @param {number} ours
 * @param {number} theirs
 * @returns {[string, number, number]}
 */
function size(file, ours, theirs) {
  return [`the size of ${file}`, ours, theirs];
}

/**
 * Fetches the code files that steps name, and finds every kernel in its own.
 *
 * @param {URL} url
 * @param {Manifest} manifest
 * @param {Plan} plan
 * @param {DownloadOptions} [options]
 */
async function fetchCode(url, manifest, plan, options) {
  /** @type {Map<string, Map<string, string>>} */
  const files = new Map();
  for (const { code, kernel } of plan.segments.flatMap((segment) => segment.steps)) {
    const sources = files.get(code) ?? (await fetchSources(url, manifest, code, options));
    files.set(code, sources);
    if (!sources.has(kernel)) {
      throw new BundleError(
        `${code} lacks the kernel ${kernel} of the plan; compile the model again.`,
      );
    }
  }
  return files;
}

/**
 * @param {URL} url
 * @param {Manifest} manifest
 * @param {string} name
 * @param {DownloadOptions} [options]
 */
async function fetchSources(url, manifest, name, options) {
  if (manifest.files.get(name)?.role !== "code") {
    throw new BundleError(`The manifest does not list ${name} as code; compile the model again.`);
  }
  const fields = parseObject(await fetchFile(url, manifest, name, options), name);
  return new Map(fields.names().map((kernel) => [kernel, fields.text(kernel)]));
}
