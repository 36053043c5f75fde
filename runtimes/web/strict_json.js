/**
 * Reads JSON that nobody vouches for: no repeated, missing or unknown field, and no wrong type.
 *
 * @module
 */

import { BundleError } from "./errors.js";

const MAX_DEPTH = 32;

/** Numbers have integers up to this exactly. */
const MAX_INTEGER = Number.MAX_SAFE_INTEGER + 1;

/** Of valid JSON: its texts, and the signs around them. */
const TOKENS = /"(?:[^"\\]|\\.)*"|[{}[\],:]/gu;

/** The fields of one JSON object, each of which must be asked for. */
export class StrictObject {
  #fields;
  #where;

  /**
   * @param {Record<string, unknown>} fields
   * @param {string} where what messages call it, such as "manifest.json: target"
   */
  constructor(fields, where) {
    this.#fields = new Map(Object.entries(fields));
    this.#where = where;
  }

  /**
   * @param {string} fault
   * @returns {never}
   */
  fail(fault) {
    throw new BundleError(`${this.#where} ${fault}; compile the model again.`);
  }

  /** The fields not asked for so far. */
  names() {
    return [...this.#fields.keys()];
  }

  /** @param {string} name */
  #take(name) {
    if (!this.#fields.has(name)) this.fail(`has no field '${name}'`);
    const value = this.#fields.get(name);
    this.#fields.delete(name);
    return value;
  }

  /**
   * @template T
   * @param {string} name
   * @param {(value: unknown) => value is T} fits
   * @param {string} kind
   */
  #taken(name, fits, kind) {
    const value = this.#take(name);
    if (!fits(value)) this.fail(`has ${shorten(value)} for '${name}', which is not ${kind}`);
    return /** @type {T} */ (value);
  }

  /**
   * @param {string} name
   * @param {number} least
   */
  integer(name, least = 0) {
    const fits = (/** @type {unknown} */ value) => isInteger(value) && value >= least;
    return /** @type {number} */ (
      this.#taken(name, /** @type {any} */ (fits), `an integer of at least ${least}`)
    );
  }

  /** @param {string} name */
  integers(name) {
    const fits = (/** @type {unknown} */ value) => Array.isArray(value) && value.every(isInteger);
    return /** @type {number[]} */ (
      this.#taken(name, /** @type {any} */ (fits), "a list of integers")
    );
  }

  /** @param {string} name */
  text(name) {
    return this.#taken(name, isText, "a text");
  }

  /** @param {string} name */
  texts(name) {
    const fits = (/** @type {unknown} */ value) => Array.isArray(value) && value.every(isText);
    return /** @type {string[]} */ (
      this.#taken(name, /** @type {any} */ (fits), "a list of texts")
    );
  }

  /**
   * A list of anything.
   *
   * @param {string} name
   */
  list(name) {
    return this.#taken(name, Array.isArray, "a list");
  }

  /**
   * An object with any fields.
   *
   * @param {string} name
   */
  mapping(name) {
    return this.#taken(name, isObject, "an object");
  }

  /**
   * An object whose fields are then asked for.
   *
   * @param {string} name
   */
  object(name) {
    return new StrictObject(this.mapping(name), `${this.#where}: ${name}`);
  }

  /** States that every field was asked for. */
  finish() {
    const left = this.names().sort();
    if (left.length > 0) this.fail(`has unknown fields ${shorten(left.join(", "))}`);
  }
}

/**
 * @param {unknown} value
 * @returns {value is number}
 */
function isInteger(value) {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MAX_INTEGER;
}

/**
 * @param {unknown} value
 * @returns {value is string}
 */
function isText(value) {
  return typeof value === "string";
}

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @param {unknown} value */
function shorten(value) {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`;
}

/**
 * Parses bytes that must be one JSON object.
 *
 * @param {Uint8Array} bytes
 * @param {string} where what messages call it
 */
export function parseObject(bytes, where) {
  const value = parse(bytes, where);
  if (isObject(value)) return new StrictObject(value, where);
  throw new BundleError(`${where} has to hold a JSON object; compile the model again.`);
}

/**
 * @param {Uint8Array} bytes
 * @param {string} where
 */
function parse(bytes, where) {
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const value = JSON.parse(text);
    checkNames(text);
    return value;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new BundleError(
      `${where} is not valid JSON: ${why.slice(0, 200)}; compile the model again.`,
    );
  }
}

/**
 * Refuses a name that is twice in one object, of which JSON.parse takes the last, and deep nesting.
 *
 * @param {string} text valid JSON
 */
function checkNames(text) {
  /** @type {(Set<string> | null)[]} */
  const open = []; // a set of names for each open object, null for each open list
  let last = "";
  for (const [token] of text.matchAll(TOKENS)) {
    if (token === "{" || token === "[") open.push(token === "{" ? new Set() : null);
    if (token === "}" || token === "]") open.pop();
    if (token === ":") addName(/** @type {Set<string>} */ (open.at(-1)), JSON.parse(last));
    if (open.length > MAX_DEPTH) throw new Error("it is nested too deeply");
    last = token;
  }
}

/**
 * @param {Set<string>} names
 * @param {string} name
 */
function addName(names, name) {
  if (names.has(name)) throw new Error(`the key ${shorten(name)} is there more than once`);
  names.add(name);
}
