/**
 * Files of a bundle over HTTP: with progress, of exactly the listed size, and with the listed hash.
 *
 * @module
 */

import { BundleError } from "./errors.js";

/**
 * @typedef {object} DownloadOptions
 * @property {AbortSignal} [signal] ends the download
 * @property {(bytes: number) => void} [onBytes] called with the number of bytes that have come
 */

/**
 * Fetches a file that has at most so many bytes.
 *
 * @param {URL} url
 * @param {number} mostBytes
 * @param {DownloadOptions} [options]
 */
export async function download(url, mostBytes, { signal, onBytes } = {}) {
  const response = await request(url, signal);
  const buffer = allocate(url, mostBytes);
  let end = 0;
  for await (const part of partsOf(url, response)) {
    if (end + part.length > mostBytes) throw sizeError(url, `more than ${mostBytes}`, mostBytes);
    buffer.set(part, end);
    end += part.length;
    onBytes?.(part.length);
  }
  return buffer.subarray(0, end);
}

/**
 * Fetches a file that a manifest lists.
 *
 * @param {URL} url
 * @param {import("./manifest.js").FileEntry} entry
 * @param {DownloadOptions} [options]
 * @throws {BundleError} it cannot be had, or is not the file that was listed
 */
export async function downloadListed(url, entry, options) {
  const bytes = await download(url, entry.sizeBytes, options);
  if (bytes.length < entry.sizeBytes) throw sizeError(url, String(bytes.length), entry.sizeBytes);
  if ((await sha256(bytes)) !== entry.sha256) {
    throw new BundleError(
      `${url} does not have the hash in the manifest: it is damaged or was changed; copy or ` +
        "compile the bundle again, and reload without the browser's cache.",
    );
  }
  return bytes;
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Promise<string>} lowercase hex
 */
export async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {URL} url
 * @param {AbortSignal | undefined} signal
 */
async function request(url, signal) {
  const response = await fetch(url, { signal, cache: "no-cache" }).catch((error) => {
    if (signal?.aborted) throw signal.reason;
    throw new BundleError(
      `${url} cannot be fetched (${error.message}); check the address, that its server runs, and ` +
        "that it lets this page read it (CORS).",
    );
  });
  if (response.ok && response.body) return response;
  throw new BundleError(
    `${url} cannot be fetched (HTTP status ${response.status}); give the address of a folder ` +
      "that holds a complete bundle.",
  );
}

/**
 * @param {URL} url
 * @param {Response} response
 */
async function* partsOf(url, response) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new BundleError(`The connection broke off while ${url} was fetched; load it again.`);
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/**
 * @param {URL} url
 * @param {number} sizeBytes
 */
function allocate(url, sizeBytes) {
  try {
    return new Uint8Array(sizeBytes);
  } catch {
    throw new BundleError(
      `${url} has ${sizeBytes} bytes, for which the browser has no memory; close other tabs, or ` +
        "compile the model for webgpu, which makes smaller files.",
    );
  }
}

/**
 * @param {URL} url
 * @param {string} found
 * @param {number} listed
 */
function sizeError(url, found, listed) {
  return new BundleError(
    `${url} has ${found} bytes and at most ${listed} were expected; copy or compile the bundle ` +
      "again.",
  );
}
